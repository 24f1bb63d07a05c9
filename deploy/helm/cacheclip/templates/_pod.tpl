{{/* Environment of everything that opens stores. Context: {root}. */}}
{{- define "cacheclip.environment" -}}
- {name: CACHECLIP_DATA_DIR, value: /var/lib/cacheclip/data}
- {name: CACHECLIP_CACHE, value: /var/lib/cacheclip/cache}
{{- with include "cacheclip.saltSecret" .root }}
- name: CACHECLIP_DEFAULT_SALT
  valueFrom: {secretKeyRef: {name: {{ . }}, key: default-salt}}
{{- end }}
{{- with include "cacheclip.s3Secret" .root }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
- name: AWS_SESSION_TOKEN
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SESSION_TOKEN, optional: true}}
{{- end }}
{{- end -}}

{{- define "cacheclip.volumeMounts" -}}
- {name: config, mountPath: /etc/cacheclip/config, readOnly: true}
- {name: model, mountPath: /models{{ with .root.Values.model.subPath }}, subPath: {{ . | quote }}{{ end }}, readOnly: true}
- {name: data, mountPath: /var/lib/cacheclip}
- {name: tmp, mountPath: /tmp}
{{- if include "cacheclip.redisSecret" .root }}
- {name: redis-password, mountPath: /etc/cacheclip/redis, readOnly: true}
{{- end }}
{{- if .root.Values.redis.tls.existingSecret }}
- {name: redis-tls, mountPath: /etc/cacheclip/redis-tls, readOnly: true}
{{- end }}
{{- if .root.Values.redis.catalog.tls.existingSecret }}
- {name: catalog-tls, mountPath: /etc/cacheclip/catalog-tls, readOnly: true}
{{- end }}
{{- if and (eq .root.Values.objectStore.type "s3") .root.Values.objectStore.s3.caSecret }}
- {name: s3-tls, mountPath: /etc/cacheclip/s3-tls, readOnly: true}
{{- end }}
{{- if eq .root.Values.objectStore.type "folder" }}
- {name: shared, mountPath: /var/lib/cacheclip-shared}
{{- end }}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/cacheclip/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Context: {root, component, values}, and settings: whose settings file, where it is not the component's. */}}
{{- define "cacheclip.volumes" -}}
{{- $config := printf "%s-%s" (include "cacheclip.fullname" .root) (default .component .settings) -}}
- name: config
{{- if .root.Values.salts.namespaces }}
  secret: {secretName: {{ $config }}}
{{- else }}
  configMap: {name: {{ $config }}}
{{- end }}
- name: model
{{- if .root.Values.model.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .root.Values.model.existingClaim }}, readOnly: true}
{{- else }}
  emptyDir: {sizeLimit: {{ .root.Values.model.fetch.sizeLimit }}}
{{- end }}
- name: data
{{- if eq .values.cache.type "ephemeral" }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .values.cache.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .values.cache.size }}}}
{{- else }}
  emptyDir: {sizeLimit: {{ .values.cache.size }}}
{{- end }}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- with include "cacheclip.redisSecret" .root }}
- name: redis-password
  secret:
    secretName: {{ . }}
    items: [{key: {{ $.root.Values.redis.auth.existingSecretKey }}, path: password}]
{{- end }}
{{- with .root.Values.redis.tls.existingSecret }}
- {name: redis-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- with .root.Values.redis.catalog.tls.existingSecret }}
- {name: catalog-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- if eq .root.Values.objectStore.type "s3" }}
{{- with .root.Values.objectStore.s3.caSecret }}
- {name: s3-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- end }}
{{- if eq .root.Values.objectStore.type "folder" }}
- {name: shared, persistentVolumeClaim: {claimName: {{ .root.Values.objectStore.folder.existingClaim }}}}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret: {secretName: {{ required "tls.existingSecret: name a secret with tls.crt, tls.key and ca.crt" .root.Values.tls.existingSecret }}}
{{- end }}
{{- end -}}

{{/* Fetches the model into the pod where no claim holds it. Context: {root, values}. */}}
{{- define "cacheclip.initContainers" -}}
{{- if not .root.Values.model.existingClaim -}}
{{- $fetch := .root.Values.model.fetch -}}
- name: fetch-model
  image: {{ $fetch.image }}
  {{- if $fetch.command }}
  command: {{ toJson $fetch.command }}
  {{- else }}
  command: [sh, -ec]
  args:
    - |
      export HOME=/tmp
      python -m pip install --quiet --disable-pip-version-check --target /tmp/hub huggingface_hub
      PYTHONPATH=/tmp/hub python -c '
      import os
      from huggingface_hub import snapshot_download
      snapshot_download(os.environ["REPOSITORY"], revision=os.environ["REVISION"], local_dir=os.environ["MODEL_FOLDER"],
                        allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model"])'
  {{- end }}
  env:
    - {name: MODEL_FOLDER, value: {{ printf "/models/%s" .root.Values.model.name | quote }}}
    - {name: REPOSITORY, value: {{ $fetch.repository | quote }}}
    - {name: REVISION, value: {{ $fetch.revision | quote }}}
    {{- with $fetch.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumeMounts:
    - {name: model, mountPath: /models}
    - {name: tmp, mountPath: /tmp}
  resources: {{- toYaml $fetch.resources | nindent 4 }}
  securityContext: {{- toYaml .values.securityContext | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* One probe: gRPC's own health protocol, by Kubernetes in the clear, by `cacheclip health` under TLS, which Kubernetes'
     probe does not speak. Context: {root, component, probe, service}. */}}
{{- define "cacheclip.probe" -}}
{{- if .root.Values.tls.enabled -}}
{{- $command := list "cacheclip" "health" "--server" "127.0.0.1:50051" "--tls-ca" "/etc/cacheclip/tls/ca.crt"
    "--tls-server-name" (printf "%s-%s" (include "cacheclip.fullname" .root) .component) -}}
{{- if .service -}}{{- $command = concat $command (list "--service" .service) -}}{{- end -}}
{{- if .root.Values.tls.clientAuth -}}
{{- $command = concat $command (list "--tls-client-certificate" "/etc/cacheclip/tls/tls.crt"
    "--tls-client-key" "/etc/cacheclip/tls/tls.key") -}}
{{- end -}}
{{- toYaml (merge (dict "exec" (dict "command" $command)) .probe) -}}
{{- else -}}
{{- $grpc := dict "port" 50051 -}}
{{- if .service -}}{{- $_ := set $grpc "service" .service -}}{{- end -}}
{{- toYaml (merge (dict "grpc" $grpc) .probe) -}}
{{- end -}}
{{- end -}}

{{/* `resources` with the GPUs of `values`, as YAML. Context: {values, resources}. */}}
{{- define "cacheclip.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- if .values.gpu.enabled -}}
{{- $gpus := dict .values.gpu.resourceName .values.gpu.count -}}
{{- $_ := set $resources "limits" (merge $gpus (default dict $resources.limits)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "cacheclip.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "cacheclip.serviceAccountName" .root }}
automountServiceAccountToken: {{ .root.Values.serviceAccount.automount }}
enableServiceLinks: false
securityContext: {{- toYaml .values.podSecurityContext | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- $selector := .values.nodeSelector -}}
{{- $tolerations := .values.tolerations -}}
{{- if .values.gpu.enabled -}}
{{- $selector = merge (deepCopy .values.gpu.nodeSelector) $selector -}}
{{- $tolerations = concat $tolerations .values.gpu.tolerations -}}
{{- with .values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}
{{- with $selector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
