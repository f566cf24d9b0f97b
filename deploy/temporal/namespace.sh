#!/bin/sh
# The namespace TEMPORAL_NAMESPACE and what orders are searched by in it. The Temporal CLI reads TEMPORAL_ADDRESS and the other TEMPORAL_… settings.
# May run again: it leaves alone what is there.
set -eu
tries=0
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -ge 60 ]; then
    echo "Temporal does not answer at $TEMPORAL_ADDRESS" >&2
    exit 1
  fi
  sleep 1
done
if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 7d
fi
# A new namespace is known to every part of the server after some seconds.
tries=0
until temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -ge 60 ]; then
    echo "Temporal does not serve the namespace $TEMPORAL_NAMESPACE" >&2
    exit 1
  fi
  sleep 1
done
for attribute in OrderState OrderPolicy; do
  if ! temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -qw "$attribute"; then
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$attribute" --type Keyword
  fi
done
