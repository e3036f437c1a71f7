# The official image (or one of your own that holds Odoo) with wheels and addons on top of it.
ARG BASE
FROM ${BASE}
USER root
COPY . /tmp/context/
RUN ["/bin/sh", "/tmp/context/add.sh"]
# By number: Kubernetes' runAsNonRoot cannot look up a name.
USER 10001:10001
CMD ["odoo"]
