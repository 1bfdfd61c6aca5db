{{/* The label app.kubernetes.io/name. */}}
{{- define "rolevend.nameLabel" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/* The name of objects: the release's name, with the chart's in it. Short enough for a suffix of twelve characters. */}}
{{- define "rolevend.name" -}}
{{- $label := include "rolevend.nameLabel" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $label .Release.Name -}}
{{- .Release.Name | trunc 51 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $label | trunc 51 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of objects with a longer suffix, at most 63 characters in all. The suffix stays whole, because it tells objects apart. */}}
{{- define "rolevend.nameWith" -}}
{{- $suffix := index . 1 -}}
{{- printf "%s%s" (include "rolevend.name" (index . 0) | trunc (sub 63 (len $suffix) | int) | trimSuffix "-") $suffix -}}
{{- end -}}

{{- define "rolevend.selectorLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "rolevend.apiSelectorLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: api
{{- end -}}

{{- define "rolevend.mcpSelectorLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: mcp
{{- end -}}

{{- define "rolevend.consoleSelectorLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: console
{{- end -}}

{{- define "rolevend.accessLedgerSelectorLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: access-ledger
{{- end -}}

{{/*
The pods. A value at the top level is for every pod. A value of a component is added to it (labels, annotations, security contexts), or
replaces it (everything else). Each template below is called with a list: the root, and the component as in the values, such as `api`, or
`operator`, `drain` or `test`, which have no values of their own.
*/}}

{{/* Labels of a pod, with those that select it, which win. Also called with these. */}}
{{- define "rolevend.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) | default dict -}}
{{- $given := list $root.Values.commonLabels $root.Values.podLabels $own.podLabels -}}
{{- $labels := dict "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- range append $given (index . 2 | fromYaml) }}{{ $labels = mergeOverwrite $labels (. | default dict) }}{{ end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Annotations of a pod. Also called with the chart's own, which win. */}}
{{- define "rolevend.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) | default dict -}}
{{- mergeOverwrite (dict) ($root.Values.podAnnotations | default dict) ($own.podAnnotations | default dict) (index . 2 | fromYaml) | toYaml -}}
{{- end -}}

{{/*
The security context of a pod. Its defaults are those that the standard "restricted" requires. Also called with something that is not empty if
a volume must be readable by its group. OpenShift chooses the group itself, and refuses any other.
*/}}
{{- define "rolevend.podSecurity" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) | default dict -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if and (index . 2) (not ($root.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}{{ $_ := set $context "fsGroup" 65532 }}{{ end -}}
{{- with $own.supplementalGroups }}{{ $_ := set $context "supplementalGroups" . }}{{ end -}}
{{- range list $root.Values.podSecurityContext $own.podSecurityContext }}{{ $context = mergeOverwrite $context (. | default dict) }}{{ end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* The security context of a container. Its defaults are those that the standard "restricted" requires. */}}
{{- define "rolevend.containerSecurity" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) | default dict -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- range list $root.Values.securityContext $own.securityContext }}{{ $context = mergeOverwrite $context (. | default dict) }}{{ end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Where a pod runs, and who may pull its image. Also called with the labels that select it; empty: it is one of a kind. */}}
{{- define "rolevend.placement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $own := index $root.Values $component | default dict -}}
{{- range $key := list "imagePullSecrets" "priorityClassName" "nodeSelector" "tolerations" "affinity" }}
{{- with index $own $key | default (index $root.Values $key) }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- with index . 2 }}
{{- $selector := dict "matchLabels" (fromYaml .) -}}
{{- $spread := $own.topologySpreadConstraints | default $root.Values.topologySpreadConstraints | default list -}}
{{- if and (not $spread) (has $component (list "operator" "api")) -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $spread = append $spread (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- end -}}
{{- with $spread }}
topologySpreadConstraints:
{{- range . }}
- {{ merge (dict) . (dict "labelSelector" $selector) | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
The budget of a component with several replicas. Called with the root, the component, its values, its name, and the labels that select it. An
upgrade with --reuse-values from a chart without this value has none.
*/}}
{{- define "rolevend.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $budget := (index . 2).podDisruptionBudget | default (dict "enabled" true "minAvailable" "" "maxUnavailable" 1) -}}
{{- if $budget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 3 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "rolevend.labels" $root | nindent 4 }}
spec:
  {{- if ne (toString $budget.minAvailable) "" }}
  minAvailable: {{ $budget.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- end }}
  selector:
    matchLabels:
      {{- index . 4 | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* The replicas of a component, called with its values. `replicas` is the name of 0.1.0. */}}
{{- define "rolevend.replicas" -}}
{{- hasKey . "replicas" | ternary .replicas .replicaCount -}}
{{- end -}}

{{/* A ServiceAccount, called with the root, the value `serviceAccount`, its name, and its namespace. No pod gets a token by it. */}}
{{- define "rolevend.serviceAccountObject" -}}
{{- $root := index . 0 -}}
{{- $account := index . 1 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ index . 2 }}
  namespace: {{ index . 3 }}
  labels:
    {{- include "rolevend.labels" $root | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# A Deployment that needs a token mounts it itself.
automountServiceAccountToken: false
{{- end -}}

{{/* The ServiceAccount of a component without permissions; empty: that of the namespace. Called with the root, its values, and its name. */}}
{{- define "rolevend.plainServiceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := (index . 1).serviceAccount | default dict -}}
{{- $name := $account.name | default (empty $account.create | ternary "" (index . 2)) -}}
{{- if has $name (list (include "rolevend.serviceAccount" $root) (include "rolevend.apiServiceAccount" $root)) -}}
{{- fail (printf "serviceAccount.name: %s is the operator's or the API's, which may do more; give %s a ServiceAccount of its own" $name (index . 2)) -}}
{{- end -}}
{{- $name -}}
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

{{/* `settings` as environment variables. */}}
{{- define "rolevend.settings" -}}
{{- range $setting, $value := .Values.settings }}
- name: ROLEVEND_{{ snakecase $setting | upper }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "rolevend.labels" -}}
{{- with .Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "rolevend.serviceAccount" -}}
{{- include "rolevend.privileged" (list .Values.serviceAccount "serviceAccount" (include "rolevend.name" .)) -}}
{{- end -}}

{{/* The name of a ServiceAccount with permissions. Without one, these would be those of every pod in the namespace. */}}
{{- define "rolevend.privileged" -}}
{{- $account := index . 0 -}}
{{- if and (eq (toString $account.create) "false") (not $account.name) -}}
{{- fail (printf "%s.name: name the ServiceAccount, because %s.create is false" (index . 1) (index . 1)) -}}
{{- end -}}
{{- $name := $account.name | default (index . 2) -}}
{{- if eq $name "default" -}}
{{- fail (printf "%s.name: default is the ServiceAccount of every pod that names no other one; use another name" (index . 1)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* The operator's user name at the API server. */}}
{{- define "rolevend.user" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "rolevend.serviceAccount" .) -}}
{{- end -}}

{{- define "rolevend.apiServiceAccount" -}}
{{- include "rolevend.privileged" (list .Values.api.serviceAccount "api.serviceAccount" (printf "%s-api" (include "rolevend.name" .))) -}}
{{- end -}}

{{/* The API's user name at the API server; empty if it is disabled, which matches no user. */}}
{{- define "rolevend.apiUser" -}}
{{- if .Values.api.enabled -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "rolevend.apiServiceAccount" .) -}}
{{- end -}}
{{- end -}}

{{/* Whether owners make their namespaces namespaces of agents by RoleBindings. */}}
{{- define "rolevend.ownersBind" -}}
{{- if ne (toString .Values.rbac.ownersBind) "false" }}true{{ end -}}
{{- end -}}

{{/* The API's permissions in a namespace of agents. */}}
{{- define "rolevend.apiVendRules" -}}
- apiGroups: [rolevend.dev]
  resources: [agents]
  verbs: [vend]
- apiGroups: [rolevend.dev]
  resources: [vendedroles]
  verbs: [create, delete]
- apiGroups: [rolevend.dev]
  resources: [vendedroles/status]
  verbs: [patch]
# Requests for offers, their withdrawal, and the record of each use, which admission-request.yaml limits.
- apiGroups: [rolevend.dev]
  resources: [accessrequests]
  verbs: [create, patch]
- apiGroups: [rolevend.dev]
  resources: [accessrequests/status]
  verbs: [patch]
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

{{/* The pods of the drain before an uninstallation. */}}
{{- define "rolevend.drainLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: drain
{{- end -}}

{{/* The pods of `helm test`. */}}
{{- define "rolevend.testLabels" -}}
app.kubernetes.io/name: {{ include "rolevend.nameLabel" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{/* Created before the uninstallation, while the operator still works; deleted after success. */}}
{{- define "rolevend.beforeUninstall" -}}
helm.sh/hook: pre-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
