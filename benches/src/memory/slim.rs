//! The slim pod in the form in which kube's store keeps objects.

use std::borrow::Cow;
use std::net::IpAddr;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::serde::{Deserialize, Deserializer};
use kube::Resource;
use kube::api::ObjectMeta;
use poddns_watch::{Phase, Pod};

/// The fields of a pod that poddns decodes, with the metadata in kube's form.
#[derive(Clone, Debug)]
pub(super) struct SlimPod {
    metadata: ObjectMeta,
    _status: (Phase, bool, Vec<IpAddr>),
}

impl<'de> Deserialize<'de> for SlimPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pod = Pod::deserialize(deserializer)?;
        let kept = pod.metadata();
        let metadata = ObjectMeta {
            name: Some(kept.name.clone()),
            namespace: Some(kept.namespace.clone()),
            uid: Some(kept.uid.clone()),
            resource_version: Some(kept.resource_version.clone()),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, _status: (pod.phase(), pod.host_network(), pod.addresses().to_vec()) })
    }
}

impl Resource for SlimPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
