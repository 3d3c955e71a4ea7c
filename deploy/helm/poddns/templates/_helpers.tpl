{{/* Name of all objects: that of the release, followed by that of the chart unless it contains it. */}}
{{- define "poddns.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "poddns.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "poddns.labels" -}}
{{ include "poddns.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: dns
app.kubernetes.io/part-of: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "poddns.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "poddns.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "poddns.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* "yes" if pods are hidden from some clients. */}}
{{- define "poddns.hides" -}}
{{- if and (eq .Values.pods "verified") (eq .Values.visibility.clients "namespace") -}}yes{{- end -}}
{{- end -}}

{{/* "yes" if there is an audit, which only mode insecure has. */}}
{{- define "poddns.audits" -}}
{{- if and (eq .Values.pods "insecure") .Values.audit.enabled -}}yes{{- end -}}
{{- end -}}

{{/* Watched resources: "pods" (and namespaces), "namespaces", or empty. */}}
{{- define "poddns.watches" -}}
{{- if or (eq .Values.pods "verified") (include "poddns.audits" .) -}}pods
{{- else if and (eq .Values.pods "insecure") .Values.checkNamespaces -}}namespaces
{{- end -}}
{{- end -}}

{{- define "poddns.keepsSnapshot" -}}
{{- if and .Values.snapshot.enabled (include "poddns.watches" .) -}}yes{{- end -}}
{{- end -}}

{{/* "yes" if poddnsd writes files. */}}
{{- define "poddns.keepsState" -}}
{{- if or (include "poddns.keepsSnapshot" .) (include "poddns.audits" .) -}}yes{{- end -}}
{{- end -}}

{{/* "yes" if zones are transferred. */}}
{{- define "poddns.transfers" -}}
{{- if .Values.transfers.to -}}
{{- if ne .Values.kind "StatefulSet" -}}
{{- fail "transfers.to needs kind StatefulSet: the serials of two primaries cannot be compared, so each needs its own Service" -}}
{{- end -}}
{{- if ne .Values.pods "verified" -}}
{{- fail "transfers.to needs pods verified: no other mode has a zone to transfer" -}}
{{- end -}}
yes
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the TSIG keys, if transfers are signed. */}}
{{- define "poddns.transferKey" -}}
{{- if include "poddns.transfers" . -}}{{ .Values.transfers.keySecret.existingSecret }}{{- end -}}
{{- end -}}

{{/* "yes" if the container has volume mounts. */}}
{{- define "poddns.mounts" -}}
{{- if or (include "poddns.keepsState" .) .Values.cookieSecret.existingSecret .Values.config.existingConfigMap (include "poddns.transferKey" .) -}}yes{{- end -}}
{{- end -}}

{{- define "poddns.args" -}}
- --pods={{ .Values.pods }}
{{- range .Values.clusterDomains }}
- --domain={{ . }}
{{- end }}
- --ttl={{ int .Values.ttl }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- range .Values.podCIDRs }}
- --pod-cidr={{ . }}
{{- end }}
{{- if .Values.blockSpecial }}
- --block-special
{{- end }}
{{- if .Values.checkNamespaces }}
- --check-namespaces
{{- end }}
{{- if include "poddns.audits" . }}
- --audit
- --audit-file=/var/lib/poddns/audit
{{- end }}
{{- if .Values.podNames }}
- --pod-names
{{- end }}
{{- /* poddnsd refuses options that have no effect. */}}
{{- if eq .Values.pods "verified" }}
{{- range .Values.reverseZones }}
- --reverse-zone={{ . }}
{{- end }}
{{- end }}
{{- if include "poddns.hides" . }}
- --visibility=namespace
{{- range .Values.visibility.visibleTo }}
- --visible-to={{ . }}
{{- end }}
{{- end }}
{{- if or (include "poddns.hides" .) (include "poddns.audits" .) }}
{{- range .Values.trustECS }}
- --trust-ecs={{ . }}
{{- end }}
{{- end }}
{{- if eq (include "poddns.watches" .) "pods" }}
- --host-network={{ .Values.hostNetwork }}
{{- end }}
{{- if include "poddns.watches" . }}
- --max-staleness={{ .Values.maxStaleness }}
{{- end }}
- --listen=*:{{ int .Values.ports.dns }}
- --admin=*:{{ int .Values.ports.admin }}
- --threads={{ int .Values.threads }}
- --lame-duck={{ .Values.lameDuck }}
- --log-format={{ .Values.logFormat }}
{{- if ne .Values.queryLog.queries "off" }}
- --query-log={{ .Values.queryLog.queries }}
- --query-log-sample={{ int .Values.queryLog.sample }}
- --query-log-rate={{ int .Values.queryLog.rate }}
{{- end }}
{{- if .Values.config.existingConfigMap }}
- --config=/etc/poddns/config/poddnsd.toml
- --watch-config
{{- end }}
{{- if include "poddns.keepsSnapshot" . }}
- --snapshot=/var/lib/poddns/snapshot
- --snapshot-interval={{ .Values.snapshot.interval }}
{{- end }}
{{- if include "poddns.transfers" . }}
{{- range .Values.transfers.to }}
- --transfer-to={{ if contains ":" .address }}[{{ .address }}]{{ else }}{{ .address }}{{ end }}:{{ int (default 53 .port) }}
{{- end }}
- --transfer-journal={{ int .Values.transfers.journalMiB }}
{{- if include "poddns.transferKey" . }}
- --transfer-key=/etc/poddns/transfer/transfer.key
{{- end }}
{{- end }}
{{- if .Values.cookieSecret.existingSecret }}
- --cookie-secret-file=/etc/poddns/cookies/secrets
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
