"""JSON schemas of the custom resources that the chart makes: the fields it uses, as their definitions have them.

Kubernetes' own schemas do not carry them. Unknown fields are refused.
"""


def _closed(required, **properties):
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_TEXT, _NUMBER, _MAP = {"type": "string"}, {"type": "integer"}, {"type": "object"}
_DURATION = {"type": "string", "pattern": r"^[0-9]+(ms|s|m|h)$"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


def _resource(api_version, spec):
    return _closed(["apiVersion", "kind", "metadata", "spec"], apiVersion={"const": api_version}, kind=_TEXT,
                   metadata=_MAP, spec=spec)


_SERVICE_MONITOR = _closed(
    ["selector", "endpoints"], selector=_closed(["matchLabels"], matchLabels=_TEXTS),
    namespaceSelector=_closed(["matchNames"], matchNames={"type": "array", "items": _TEXT}),
    endpoints={"type": "array", "items": _closed(["port"], port=_TEXT, path=_TEXT, interval=_DURATION)})

_RULE = {"type": "object", "required": ["alert", "expr"], "additionalProperties": False, "properties": {
    "alert": _TEXT, "expr": _TEXT, "for": _DURATION, "labels": _TEXTS, "annotations": _TEXTS}}
_PROMETHEUS_RULE = _closed(["groups"], groups={
    "type": "array", "items": _closed(["name", "rules"], name=_TEXT, rules={"type": "array", "items": _RULE})})

_TRIGGER = _closed(["type", "metadata"], type=_TEXT, metadata=_TEXTS,
                   metricType={"enum": ["AverageValue", "Value", "Utilization"]})
_SCALED_OBJECT = _closed(
    ["scaleTargetRef", "triggers"], scaleTargetRef=_closed(["name"], name=_TEXT), minReplicaCount=_NUMBER,
    maxReplicaCount=_NUMBER, pollingInterval=_NUMBER, cooldownPeriod=_NUMBER,
    advanced=_closed([], horizontalPodAutoscalerConfig=_closed([], behavior=_MAP)),
    triggers={"type": "array", "minItems": 1, "items": _TRIGGER})

CUSTOM_RESOURCES = {
    "ServiceMonitor": _resource("monitoring.coreos.com/v1", _SERVICE_MONITOR),
    "PrometheusRule": _resource("monitoring.coreos.com/v1", _PROMETHEUS_RULE),
    "ScaledObject": _resource("keda.sh/v1alpha1", _SCALED_OBJECT),
}
