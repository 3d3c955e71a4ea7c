//! Configured names: accepted names are written back unchanged, and hickory-proto reads them as the same name.

use poddns_core::{Label, Name, Zone};

pub(crate) fn check(octets: &[u8]) {
    if let Some(label) = Label::from_wire(octets) {
        assert!(label.as_bytes().eq_ignore_ascii_case(octets));
        assert_eq!(label.as_str().parse(), Ok(label));
        assert_eq!(Label::from_wire(&octets.to_ascii_uppercase()), Some(label));
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(label) = text.parse::<Label>() {
        assert_eq!(label.as_str(), text);
    }
    if let Ok(name) = text.parse::<Name>() {
        check_name(text, &name);
    }
    if let Ok(zone) = Zone::new(text) {
        assert_eq!(zone.apex().to_string(), format!("pod.{}", zone.domain()));
    }
}

fn check_name(text: &str, name: &Name) {
    let bare = text.strip_suffix('.').unwrap_or(text);
    assert_eq!(name.to_string(), format!("{bare}."));
    assert_eq!(name.to_string().parse(), Ok(*name));
    assert_eq!(text.to_ascii_uppercase().parse(), Ok(*name));
    assert!(name.labels().eq(bare.split('.').map(str::as_bytes)));
    assert!(name.as_wire().len() <= 255);
    // From labels: hickory-proto's parser of text accepts only host names, without a leading dash.
    let other = hickory_proto::rr::Name::from_labels(bare.split('.').map(str::as_bytes));
    assert!(name.labels().eq(other.expect("hickory-proto takes the name too").iter()));
}
