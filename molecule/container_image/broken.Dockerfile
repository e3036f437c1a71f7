# Breaks off half-way.
ARG BASE
FROM ${BASE}
COPY Dockerfile /first
COPY nowhere /second
