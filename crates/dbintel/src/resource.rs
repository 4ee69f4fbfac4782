//! What the process says of itself on every resource: service and Kubernetes attributes.

use dbintel_config::Environment;
use dbintel_model::Attribute;

/// Attributes taken from `OTEL_RESOURCE_ATTRIBUTES`, at most.
const MAX_ATTRIBUTES: usize = 64;
/// Environment variables a pod sets by the downward API, and the attributes they become.
const KUBERNETES: [(&str, &str); 6] = [
    ("K8S_CLUSTER_NAME", "k8s.cluster.name"),
    ("K8S_NAMESPACE_NAME", "k8s.namespace.name"),
    ("K8S_NODE_NAME", "k8s.node.name"),
    ("K8S_POD_NAME", "k8s.pod.name"),
    ("K8S_POD_UID", "k8s.pod.uid"),
    ("K8S_CONTAINER_NAME", "k8s.container.name"),
];

/// The attributes, and what could not be understood. `OTEL_SERVICE_NAME` wins over `service.name` in
/// `OTEL_RESOURCE_ATTRIBUTES`, and both win over what the downward API says, as OpenTelemetry's specification has it.
pub fn attributes(environment: &dyn Environment) -> (Vec<Attribute>, Vec<String>) {
    let mut attributes = Vec::new();
    let mut problems = Vec::new();
    for (variable_name, key) in KUBERNETES {
        if let Some(value) = variable(environment, variable_name).filter(|value| !value.is_empty()) {
            set(&mut attributes, key, value);
        }
    }
    let listed = variable(environment, "OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    for pair in listed.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').and_then(|(key, value)| Some((decode(key.trim())?, decode(value.trim())?)))
        {
            Some((key, value)) if attributes.len() < MAX_ATTRIBUTES && !key.is_empty() => {
                set(&mut attributes, &key, value);
            }
            Some(_) => {
                problems.push(format!("OTEL_RESOURCE_ATTRIBUTES has more than {MAX_ATTRIBUTES} attributes"));
            }
            None => {
                problems.push("OTEL_RESOURCE_ATTRIBUTES: expected key=value, separated by commas".to_owned());
            }
        }
    }
    if let Some(name) = variable(environment, "OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
        set(&mut attributes, "service.name", name);
    }
    problems.dedup();
    (attributes, problems)
}

fn variable(environment: &dyn Environment, name: &str) -> Option<String> {
    environment.variable(name).ok()
}

fn set(attributes: &mut Vec<Attribute>, key: &str, value: String) {
    attributes.retain(|held| held.key.as_str() != key);
    attributes.push(Attribute::new(key.to_owned(), value));
}

/// Percent-decoding, as the specification wants it for keys and values.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(variables: &[(&'static str, &'static str)], expected: &[(&str, &str)], problems: usize) {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let environment = move |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let (attributes, found) = attributes(&environment);
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value)| Attribute::new((*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!((attributes, found.len()), (expected, problems));
    }

    #[test]
    fn attributes_come_from_the_environment_by_the_rules_of_opentelemetry() {
        check(&[], &[], 0);
        check(
            &[
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=prod%2Ceu"),
                ("OTEL_SERVICE_NAME", "b"),
                ("K8S_POD_NAME", "pod-1"),
            ],
            &[("k8s.pod.name", "pod-1"), ("deployment.environment.name", "prod,eu"), ("service.name", "b")],
            0,
        );
        check(&[("OTEL_RESOURCE_ATTRIBUTES", "nonsense,a=%zz,b=1")], &[("b", "1")], 1);
    }
}
