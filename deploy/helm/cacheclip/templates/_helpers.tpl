{{- define "cacheclip.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cacheclip.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "cacheclip.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "cacheclip.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select pods; never change them, selectors are immutable. Context: {root, component}. */}}
{{- define "cacheclip.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cacheclip.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "cacheclip.labels" -}}
{{ include "cacheclip.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cacheclip
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cacheclip.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cacheclip.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What a service's templates read: the keys for every service, overridden by its own, as JSON.
     Context: {root, component}. */}}
{{- define "cacheclip.component" -}}
{{- $shared := pick .root.Values "image" "replicaCount" "extraArgs" "extraEnv" "extraVolumes" "extraVolumeMounts" "config"
    "drainSeconds" "preStopSeconds" "resources" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints"
    "priorityClassName" "podAnnotations" "podLabels" "podSecurityContext" "securityContext" "service" "cache" "gpu"
    "startupProbe" "livenessProbe" "readinessProbe" "pdb" "autoscaling" -}}
{{- mergeOverwrite (deepCopy $shared) (deepCopy (get .root.Values .component)) | toJson -}}
{{- end -}}

{{/* Context: {root, component, values}. A repository named under the service itself is taken as it is. */}}
{{- define "cacheclip.image" -}}
{{- $tag := default .root.Chart.AppVersion .values.image.tag -}}
{{- if and .values.gpu.enabled (not (hasSuffix "-cuda" $tag)) -}}{{- $tag = printf "%s-cuda" $tag -}}{{- end -}}
{{- $own := dig "image" "repository" "" (get .root.Values .component) -}}
{{- default (printf "%s-%s" .values.image.repository .component) $own }}:{{ $tag }}
{{- end -}}

{{- define "cacheclip.grpcService" -}}
cacheclip.v1.{{ title . }}Service
{{- end -}}

{{/* Is a Redis server of the chart's own wanted? Answer: "yes" or "". */}}
{{- define "cacheclip.ownRedisKv" -}}
{{- if and .Values.redis.kv.enabled (not .Values.redis.kv.url) -}}yes{{- end -}}
{{- end -}}
{{- define "cacheclip.ownRedisCatalog" -}}
{{- if not .Values.redis.catalog.url -}}yes{{- end -}}
{{- end -}}

{{- define "cacheclip.redisSecret" -}}
{{- if .Values.redis.auth.existingSecret -}}{{ .Values.redis.auth.existingSecret }}
{{- else if .Values.redis.auth.password -}}{{ include "cacheclip.fullname" . }}-redis
{{- end -}}
{{- end -}}
{{- define "cacheclip.s3Secret" -}}
{{- if eq .Values.objectStore.type "s3" -}}
{{- if .Values.objectStore.s3.existingSecret -}}{{ .Values.objectStore.s3.existingSecret }}
{{- else if .Values.objectStore.s3.accessKeyId -}}{{ include "cacheclip.fullname" . }}-s3
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "cacheclip.saltSecret" -}}
{{- if .Values.salts.existingSecret -}}{{ .Values.salts.existingSecret }}
{{- else if .Values.salts.default -}}{{ include "cacheclip.fullname" . }}-salt
{{- end -}}
{{- end -}}
