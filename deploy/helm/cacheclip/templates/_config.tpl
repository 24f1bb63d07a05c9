{{/* The settings file of a service (docs/configuration.md), as YAML. Context: {root, component, values}. */}}
{{- define "cacheclip.settings" -}}
{{- $values := .root.Values -}}
{{- $name := include "cacheclip.fullname" .root -}}
{{- $settings := dict
    "model" (printf "/models/%s" $values.model.name)
    "address" "0.0.0.0" "port" 50051 "metrics_port" 9464 "insecure_listen" "yes"
    "drain_seconds" .values.drainSeconds -}}
{{- $longest := int (default 120 (get .values.config "default_deadline_seconds")) -}}
{{- if le (int .values.drainSeconds) $longest -}}
{{- fail (printf "drainSeconds: must exceed config.default_deadline_seconds (%d), got %d" $longest (int .values.drainSeconds)) -}}
{{- end -}}
{{- $_ := set $settings "device" (ternary "cuda" "cpu" .values.gpu.enabled) -}}
{{- include "cacheclip.redisSettings" (dict "root" .root "settings" $settings) -}}
{{- include "cacheclip.objectSettings" (dict "root" .root "settings" $settings) -}}
{{- if $values.tls.enabled -}}
{{- $_ := set $settings "tls_certificate" "/etc/cacheclip/tls/tls.crt" -}}
{{- $_ := set $settings "tls_key" "/etc/cacheclip/tls/tls.key" -}}
{{- if $values.tls.clientAuth -}}{{- $_ := set $settings "tls_client_ca" "/etc/cacheclip/tls/ca.crt" -}}{{- end -}}
{{- end -}}
{{- if ne .component "selector" -}}
{{- $_ := set $settings "selector_target" (printf "%s-selector:50051" $name) -}}
{{- if $values.tls.enabled -}}{{- $_ := set $settings "selector_tls_ca" "/etc/cacheclip/tls/ca.crt" -}}{{- end -}}
{{- end -}}
{{- range $key, $value := .values.config -}}
{{- if hasKey $settings $key -}}
{{- fail (printf "config.%s: the chart sets it; see README.md for the value behind it" $key) -}}
{{- end -}}
{{- $_ := set $settings $key $value -}}
{{- end -}}
{{- if and (eq $values.objectStore.type "s3") (ne (toString (default 0 (get .values.config "object_bytes"))) "0") -}}
{{- fail "config.object_bytes: bounds objectStore.type folder only; give the bucket lifecycle rules" -}}
{{- end -}}
{{- if $values.salts.namespaces -}}{{- $_ := set $settings "namespace_salts" $values.salts.namespaces -}}{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- define "cacheclip.redisSettings" -}}
{{- $redis := .root.Values.redis -}}
{{- $name := include "cacheclip.fullname" .root -}}
{{- $password := include "cacheclip.redisSecret" .root -}}
{{- if $redis.kv.enabled -}}
{{- $_ := set .settings "redis_url" (default (printf "redis://%s-redis-kv:6379" $name) $redis.kv.url) -}}
{{- $_ := set .settings "redis_cluster" (include "cacheclip.yesNo" $redis.kv.cluster) -}}
{{- if $password -}}{{- $_ := set .settings "redis_password_file" "/etc/cacheclip/redis/password" -}}{{- end -}}
{{- if and $redis.tls.existingSecret (hasPrefix "rediss://" $redis.kv.url) -}}
{{- include "cacheclip.redisTlsFiles" (dict "settings" .settings "prefix" "redis" "tls" $redis.tls "folder" "redis-tls") -}}
{{- end -}}
{{- end -}}
{{- $_ := set .settings "catalog_url" (default (printf "redis://%s-redis-catalog:6379" $name) $redis.catalog.url) -}}
{{- $_ := set .settings "catalog_cluster" (include "cacheclip.yesNo" $redis.catalog.cluster) -}}
{{- if $password -}}{{- $_ := set .settings "catalog_password_file" "/etc/cacheclip/redis/password" -}}{{- end -}}
{{- if hasPrefix "rediss://" $redis.catalog.url -}}
{{- if $redis.catalog.tls.existingSecret -}}
{{- include "cacheclip.redisTlsFiles" (dict "settings" .settings "prefix" "catalog" "tls" $redis.catalog.tls "folder" "catalog-tls") -}}
{{- else if $redis.tls.existingSecret -}}
{{- include "cacheclip.redisTlsFiles" (dict "settings" .settings "prefix" "catalog" "tls" $redis.tls "folder" "redis-tls") -}}
{{- end -}}
{{- else if $redis.catalog.tls.existingSecret -}}
{{- fail "redis.catalog.tls.existingSecret: needs a redis.catalog.url that begins with rediss://" -}}
{{- end -}}
{{- if and $redis.tls.existingSecret (not (or (hasPrefix "rediss://" $redis.kv.url) (hasPrefix "rediss://" $redis.catalog.url))) -}}
{{- fail "redis.tls.existingSecret: needs a redis.kv.url or redis.catalog.url that begins with rediss://" -}}
{{- end -}}
{{- end -}}

{{/* Context: {settings, prefix: redis or catalog, tls: values, folder: where its secret is mounted}. */}}
{{- define "cacheclip.redisTlsFiles" -}}
{{- $_ := set .settings (printf "%s_tls_ca" .prefix) (printf "/etc/cacheclip/%s/ca.crt" .folder) -}}
{{- if .tls.clientCertificate -}}
{{- $_ := set .settings (printf "%s_tls_certificate" .prefix) (printf "/etc/cacheclip/%s/tls.crt" .folder) -}}
{{- $_ := set .settings (printf "%s_tls_key" .prefix) (printf "/etc/cacheclip/%s/tls.key" .folder) -}}
{{- end -}}
{{- end -}}

{{- define "cacheclip.objectSettings" -}}
{{- $store := .root.Values.objectStore -}}
{{- if eq $store.type "folder" -}}
{{- $_ := required "objectStore.folder.existingClaim: name the shared volume" $store.folder.existingClaim -}}
{{- $_ := set .settings "object_url" "file:///var/lib/cacheclip-shared" -}}
{{- else if eq $store.type "s3" -}}
{{- $_ := set .settings "object_url" (required "objectStore.url: s3://bucket/prefix" $store.url) -}}
{{- if $store.s3.endpoint -}}{{- $_ := set .settings "s3_endpoint" $store.s3.endpoint -}}{{- end -}}
{{- if $store.s3.region -}}{{- $_ := set .settings "s3_region" $store.s3.region -}}{{- end -}}
{{- if $store.s3.pathStyle -}}{{- $_ := set .settings "s3_path_style" (include "cacheclip.yesNo" $store.s3.pathStyle) -}}{{- end -}}
{{- if $store.s3.caSecret -}}{{- $_ := set .settings "s3_tls_ca" "/etc/cacheclip/s3-tls/ca.crt" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Refuses services that would not find each other's chunks: the kind of device is part of what a prefix is registered
     for. Only a selector with a model of its own may compute elsewhere than the primary. Context: root. */}}
{{- define "cacheclip.checkDevices" -}}
{{- $ingestion := include "cacheclip.component" (dict "root" . "component" "ingestion") | fromJson -}}
{{- $selector := include "cacheclip.component" (dict "root" . "component" "selector") | fromJson -}}
{{- $generation := include "cacheclip.component" (dict "root" . "component" "generation") | fromJson -}}
{{- if ne $ingestion.gpu.enabled $generation.gpu.enabled -}}
{{- fail (printf "gpu.enabled: ingestion has %t and generation %t; chunks made on CPUs do not serve GPUs nor the other way: set both alike" $ingestion.gpu.enabled $generation.gpu.enabled) -}}
{{- end -}}
{{- $is_asked := not (has (toString (get $generation.config "selector")) (list "no" "false")) -}}
{{- $is_truncated_primary := empty (get $selector.config "selector_model") -}}
{{- if and $is_asked $is_truncated_primary (ne $selector.gpu.enabled $generation.gpu.enabled) -}}
{{- fail (printf "selector.gpu.enabled: a selector that is the primary, truncated, must compute where generation does (%t), got %t; or set selector.config.selector_model, or config.selector to no" $generation.gpu.enabled $selector.gpu.enabled) -}}
{{- end -}}
{{- end -}}

{{/* What a preload job runs with, as JSON: ingestion's values, since only the same kind of device makes chunks that the
     services find; but written through, since what waits in its volume goes with it. Context: root. */}}
{{- define "cacheclip.preloadValues" -}}
{{- $values := include "cacheclip.component" (dict "root" . "component" "ingestion") | fromJson -}}
{{- if eq (toString (get $values.config "write_mode")) "back" -}}{{- $_ := unset $values.config "write_mode" -}}{{- end -}}
{{- $values | toJson -}}
{{- end -}}

{{/* The settings file as a manifest. Context: {root, component, values, labels}. */}}
{{- define "cacheclip.settingsManifest" -}}
{{- $is_secret := not (empty .root.Values.salts.namespaces) -}}
apiVersion: v1
kind: {{ ternary "Secret" "ConfigMap" $is_secret }}
metadata:
  name: {{ include "cacheclip.fullname" .root }}-{{ .component }}
  labels: {{- include "cacheclip.labels" . | nindent 4 }}
{{ ternary "stringData" "data" $is_secret }}:
  cacheclip.yaml: |
    {{- include "cacheclip.settings" . | nindent 4 }}
{{- end -}}

{{/* YAML reads yes and no as booleans. */}}
{{- define "cacheclip.yesNo" -}}
{{- if kindIs "bool" . -}}{{ ternary "yes" "no" . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}
