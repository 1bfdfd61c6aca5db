{{/* The release's name, with the chart's in it. Short enough for a suffix of twelve characters. */}}
{{- define "rolevend.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 51 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 51 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rolevend.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "rolevend.apiSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: api
{{- end -}}

{{- define "rolevend.mcpSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: mcp
{{- end -}}

{{- define "rolevend.accessLedgerSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: access-ledger
{{- end -}}

{{/* The security contexts of a pod and a container that the standard "restricted" requires. */}}
{{- define "rolevend.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rolevend.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The probes of the operator and of the API. */}}
{{- define "rolevend.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* Spread replicas over nodes, if there are several. Called with the labels of the pods. */}}
{{- define "rolevend.spread" -}}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/* `settings` as environment variables. */}}
{{- define "rolevend.settings" -}}
{{- range $setting, $value := .Values.settings }}
- name: ROLEVEND_{{ snakecase $setting | upper }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Scheduling constraints of a pod. */}}
{{- define "rolevend.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rolevend.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "rolevend.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "rolevend.name" .) -}}
{{- end -}}

{{/* The operator's user name at the API server. */}}
{{- define "rolevend.user" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "rolevend.serviceAccount" .) -}}
{{- end -}}

{{- define "rolevend.apiServiceAccount" -}}
{{- .Values.api.serviceAccount.name | default (printf "%s-api" (include "rolevend.name" .)) -}}
{{- end -}}

{{/* The API's user name at the API server; empty if it is disabled, which matches no user. */}}
{{- define "rolevend.apiUser" -}}
{{- if .Values.api.enabled -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "rolevend.apiServiceAccount" .) -}}
{{- end -}}
{{- end -}}

{{/* CEL: the groups of the caller, as a JSON list. */}}
{{- define "rolevend.groups" -}}
'[' + request.userInfo.?groups.orValue([]).map(group, '"' + group.replace('\\', '\\\\').replace('"', '\\"') + '"').join(', ') + ']'
{{- end -}}

{{/* The ConfigMaps of the published catalogs, as a JSON list. Their number is fixed, because RBAC knows whole names alone. */}}
{{- define "rolevend.catalogs" -}}
{{- $names := list -}}
{{- range until 16 }}{{ $names = append $names (printf "rolevend-catalogs-%d" .) }}{{ end -}}
{{- $names | toJson -}}
{{- end -}}

{{/* The host name of the API for agents in the cluster, which is in its certificate. */}}
{{- define "rolevend.apiHost" -}}
{{- printf "%s-api.%s.svc" (include "rolevend.name" .) .Release.Namespace -}}
{{- end -}}

{{/* All names in the API's certificate, as a JSON list. */}}
{{- define "rolevend.apiNames" -}}
{{- $host := include "rolevend.apiHost" . -}}
{{- concat (list $host (trimSuffix ".svc" $host) (printf "%s.cluster.local" $host)) .Values.api.tls.dnsNames | uniq | toJson -}}
{{- end -}}

{{/* The Secret with the API's certificate and its key. */}}
{{- define "rolevend.apiCertificate" -}}
{{- if eq .Values.api.tls.mode "Secret" -}}
{{- required "api.tls.secretName: name the Secret of type kubernetes.io/tls that the API shows, or choose another api.tls.mode" .Values.api.tls.secretName -}}
{{- else -}}
{{- printf "%s-api-tls" (include "rolevend.name" .) -}}
{{- end -}}
{{- end -}}

{{/* The ConfigMap with the authority of the API's certificate; empty if there is none. */}}
{{- define "rolevend.apiAuthority" -}}
{{- if or .Values.api.tls.caCertificates (eq .Values.api.tls.mode "Generated") -}}
{{- printf "%s-api-ca" (include "rolevend.name" .) -}}
{{- end -}}
{{- end -}}

{{- define "rolevend.image" -}}
{{- include "rolevend.imageOf" (list .Values.image .) -}}
{{- end -}}

{{/* Called with a value like `image`, and the root. */}}
{{- define "rolevend.imageOf" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Egress of the API: DNS, the API server, databases, Snowflake accounts and identity providers. */}}
{{- define "rolevend.egress" -}}
{{- include "rolevend.egressTo" (list .Values.networkPolicy (list "apiServer" "database" "snowflakeAccount" "identityProvider")) -}}
{{- end -}}

{{/* Egress of the operator: the same, and receivers of notifications. */}}
{{- define "rolevend.operatorEgress" -}}
{{- include "rolevend.egressTo" (list .Values.networkPolicy (list "apiServer" "database" "snowflakeAccount" "identityProvider" "notificationReceiver")) -}}
{{- end -}}

{{/* The file of the receivers of notifications: each has its files in a folder of its name. */}}
{{- define "rolevend.receivers" -}}
{{- $receivers := list -}}
{{- range .Values.notifications.receivers }}
{{- $receivers = append $receivers (omit . "secretRef") -}}
{{- end }}
{{- dict "receivers" $receivers "default" .Values.notifications.default | toJson -}}
{{- end -}}

{{/* Egress to DNS and to named peers. Called with the value `networkPolicy` and the names in it. */}}
{{- define "rolevend.egressTo" -}}
{{- $policy := index . 0 -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- range $ports := index . 1 }}
{{- with get $policy (printf "%sPorts" $ports) }}
- ports:
  {{- range . }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
  {{- with get $policy (printf "%ss" $ports) }}
  to:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Allowed readers of metrics: the peers in the values, and the pods of `helm test`. */}}
{{- define "rolevend.metricsIngress" -}}
# Probes of kubelet come from the node, and are always allowed.
- ports: [{port: http, protocol: TCP}]
  from:
  {{- toYaml .Values.networkPolicy.metricsFrom | nindent 2 }}
  - podSelector:
      matchLabels:
        {{- include "rolevend.testLabels" . | nindent 8 }}
{{- end -}}

{{/* The pods of `helm test`. */}}
{{- define "rolevend.testLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{/* Created before the uninstallation, while the operator still works; deleted after success. */}}
{{- define "rolevend.beforeUninstall" -}}
helm.sh/hook: pre-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
