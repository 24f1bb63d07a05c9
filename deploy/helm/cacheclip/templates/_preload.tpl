{{/* The spec of a preload job. Context: {root, component, settings, values, labels}; its image is
     that of `component`, its settings file that of `settings`. */}}
{{- define "cacheclip.preloadJob" }}
{{- $preload := .root.Values.preload }}
completionMode: Indexed
completions: {{ $preload.workers }}
parallelism: {{ $preload.workers }}
backoffLimit: {{ $preload.backoffLimit }}
activeDeadlineSeconds: {{ $preload.activeDeadlineSeconds }}
ttlSecondsAfterFinished: {{ $preload.ttlSecondsAfterFinished }}
template:
  metadata:
    labels: {{- .labels | nindent 6 }}
  spec:
    restartPolicy: Never
    {{- include "cacheclip.placement" . | nindent 4 }}
    {{- with include "cacheclip.initContainers" . }}
    initContainers:
      {{- . | nindent 6 }}
    {{- end }}
    containers:
      - name: preload
        image: {{ include "cacheclip.image" . | quote }}
        imagePullPolicy: {{ .values.image.pullPolicy }}
        command: [cacheclip, preload]
        args:
          - --config
          - /etc/cacheclip/config/cacheclip.yaml
          - --namespace
          - {{ $preload.namespace | quote }}
          # The workers share a queue on Redis under the job's name; what a dead one held goes to another.
          - --job
          - $(JOB_NAME)
          - --json
          {{- with $preload.extraArgs }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
          {{- toYaml $preload.sources | nindent 10 }}
        env:
          - name: JOB_NAME
            valueFrom: {fieldRef: {fieldPath: "metadata.labels['job-name']"}}
          {{- include "cacheclip.environment" . | nindent 10 }}
          {{- with .values.extraEnv }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        resources: {{- include "cacheclip.resources" (dict "values" .values "resources" $preload.resources) | nindent 10 }}
        securityContext: {{- toYaml .values.securityContext | nindent 10 }}
        volumeMounts:
          {{- include "cacheclip.volumeMounts" . | nindent 10 }}
          {{- with $preload.volumeMounts }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
    volumes:
      {{- include "cacheclip.volumes" . | nindent 6 }}
      {{- with $preload.volumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}
