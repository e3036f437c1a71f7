// Command cadvisor exports the metrics of a node's containers, read from
// containerd, with the pod names that Kubernetes gave them.
package main

import (
	"flag"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	_ "github.com/google/cadvisor/container/containerd/install"
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

// Heavy per-socket and per-process families stay out; these answer who uses
// the node's CPU, memory, network and disks.
var wanted = container.MetricSet{
	container.CpuUsageMetrics:     {},
	container.DiskIOMetrics:       {},
	container.MemoryUsageMetrics:  {},
	container.NetworkUsageMetrics: {},
	container.OOMMetrics:          {},
}

func main() {
	listen := flag.String("listen", ":8080", "address to serve /metrics and /healthz on")
	labels := flag.String("labels",
		"io.kubernetes.container.name,io.kubernetes.pod.name,io.kubernetes.pod.namespace",
		"container labels to export, separated by commas")
	interval := flag.Duration("interval", 15*time.Second, "time between two readings of a container")
	flag.Parse()

	dynamic := true
	readings, err := manager.New(
		memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(),
		manager.HousekeepingConfig{Interval: interval, AllowDynamic: &dynamic},
		wanted, http.DefaultClient, []string{"/kubepods"}, nil, "", time.Minute)
	if err != nil {
		log.Fatalf("cadvisor: %v", err)
	}
	if err := readings.Start(); err != nil {
		log.Fatalf("cadvisor: cannot watch the node's containers: %v", err)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusMachineCollector(readings, wanted),
		metrics.NewPrometheusCollector(readings, metrics.BaseContainerLabels(strings.Split(*labels, ",")),
			wanted, clock.RealClock{},
			v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true}))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
