//! The decoders of lists and watches, tested with recordings of a real API server and with invalid input.

use bytes::Bytes;
use poddns_test_support::recordings::{EXPIRED_CONTINUE, EXPIRED_WATCH};
use poddns_watch::decode::{
    BodyPart, DEFAULT_LIMIT, DecodeError, EventKind, Format, ListEnd, ListItem, MalformedObject, Status,
    WatchFrame, decode_list, decode_watch,
};
use poddns_watch::{Namespace, Pod};
use proptest::prelude::*;
use serde_json::json;

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../data/", $name)).as_slice()
    };
}

const LIST_JSON: &[u8] = recording!("list.json");
const LIST_PROTOBUF: &[u8] = recording!("list.pb");
const WATCH_JSON: &[u8] = recording!("watch.ndjson");
const WATCH_PROTOBUF: &[u8] = recording!("watch.pb");
const STREAMING_LIST: &[u8] = recording!("watchlist.ndjson");

type List<K> = (Vec<ListItem<K>>, Result<ListEnd, DecodeError>);
type Watch<K> = (Vec<WatchFrame<K>>, Result<(), DecodeError>);

fn whole_list(format: Format, body: impl AsRef<[u8]>) -> List<Pod> {
    decode_list(format, DEFAULT_LIMIT, [Bytes::copy_from_slice(body.as_ref())].into_iter())
}

fn whole_watch(format: Format, body: impl AsRef<[u8]>) -> Watch<Pod> {
    decode_watch(format, DEFAULT_LIMIT, [Bytes::copy_from_slice(body.as_ref())].into_iter())
}

/// Returns a field of a protobuf message whose value is a message, a string or bytes.
fn field(number: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(value.as_ref().len() as u64, &mut field);
    field.extend(value.as_ref());
    field
}

fn envelope(kind: &str, object: impl AsRef<[u8]>) -> Vec<u8> {
    let kind = field(1, [field(1, "v1"), field(2, kind)].concat());
    [b"k8s\0".as_slice(), &kind, &field(2, object), &field(3, ""), &field(4, "")].concat()
}

fn frame(kind: &str, object: impl AsRef<[u8]>) -> Vec<u8> {
    let event = [field(1, kind), field(2, field(1, object))].concat();
    [&u32::try_from(event.len()).expect("a short event").to_be_bytes()[..], &event].concat()
}

fn pod(name: &str) -> Vec<u8> {
    let metadata = [field(1, name), field(3, "ns"), field(5, format!("uid-{name}")), field(6, "5")].concat();
    let status = [field(1, "Running"), field(6, "10.0.0.1"), field(12, field(1, "10.0.0.1"))].concat();
    [field(1, metadata), field(2, ""), field(3, status)].concat()
}

fn pod_list(items: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|item| field(2, item)).collect();
    envelope("PodList", [field(1, field(2, "7")), items].concat())
}

fn names(items: &[ListItem<Pod>]) -> Vec<&str> {
    let name = |item: &'_ ListItem<Pod>| match item {
        ListItem::Object(pod) => &*Box::leak(pod.metadata().name.clone().into_boxed_str()),
        ListItem::Malformed(object) => &*Box::leak(format!("!{}", object.metadata.name).into_boxed_str()),
    };
    items.iter().map(name).collect()
}

#[test]
fn both_encodings_give_the_same_list() {
    let (json, end) = whole_list(Format::Json, LIST_JSON);
    assert_eq!(whole_list(Format::Protobuf, LIST_PROTOBUF), (json.clone(), end.clone()));
    assert_eq!(json.len(), 16);
    assert!(json.iter().all(|item| matches!(item, ListItem::Object(pod) if pod.fault().is_none())));
    let end = end.expect("a whole list");
    assert_eq!((&*end.resource_version, end.continue_token, end.remaining), ("546", None, None));
}

#[test]
fn list_items_are_what_the_recording_says() {
    let value: serde_json::Value = serde_json::from_slice(LIST_JSON).expect("JSON");
    let (items, _) = whole_list(Format::Protobuf, LIST_PROTOBUF);
    for (item, expected) in items.iter().zip(value["items"].as_array().expect("items")) {
        let ListItem::Object(pod) = item else { panic!("{item:?}") };
        let metadata = pod.metadata();
        for (key, value) in [
            ("name", &metadata.name),
            ("namespace", &metadata.namespace),
            ("uid", &metadata.uid),
            ("resourceVersion", &metadata.resource_version),
        ] {
            assert_eq!(expected["metadata"][key], json!(value), "{key}");
        }
        assert_eq!(metadata.terminating, expected["metadata"]["deletionTimestamp"].is_string());
        assert_eq!(pod.host_network(), expected["spec"]["hostNetwork"] == json!(true));
        assert_eq!(json!(format!("{:?}", pod.phase())), expected["status"]["phase"]);
        let addresses: Vec<_> = pod.addresses().iter().map(|ip| json!({"ip": ip})).collect();
        let none = json!([]);
        let ips = if addresses.is_empty() { &none } else { &expected["status"]["podIPs"] };
        assert_eq!(ips, &json!(addresses));
    }
}

#[test]
fn pages_name_the_next_one() {
    let (items, end) = whole_list(Format::Json, recording!("page-1.json"));
    let end = end.expect("a whole page");
    assert_eq!(items.len(), 7);
    assert_eq!(end.remaining, Some(9));
    assert!(end.continue_token.is_some_and(|token| token.starts_with("eyJ")));
    let meta = [field(2, "7"), field(3, "token"), vec![4 << 3, 9]].concat();
    let (_, end) = whole_list(Format::Protobuf, envelope("PodList", field(1, meta)));
    let end = end.expect("a whole page");
    assert_eq!((end.continue_token.as_deref(), end.remaining), (Some("token"), Some(9)));
}

#[test]
fn both_encodings_give_the_same_events() {
    let (json, ended) = whole_watch(Format::Json, WATCH_JSON);
    assert_eq!(ended, Ok(()));
    let (protobuf, ended) = whole_watch(Format::Protobuf, WATCH_PROTOBUF);
    assert_eq!(ended, Ok(()));
    // The two watches began at the same version and ended at different times.
    assert!(protobuf.len() > 10, "{} events", protobuf.len());
    let events = |frames: Vec<WatchFrame<Pod>>| {
        frames.into_iter().filter(|frame| matches!(frame, WatchFrame::Event { .. })).collect::<Vec<_>>()
    };
    assert_eq!(events(protobuf), events(json));
}

#[test]
fn bookmarks_end_a_streaming_list() {
    let (frames, _) = whole_watch(Format::Json, STREAMING_LIST);
    let ends: Vec<_> = frames
        .iter()
        .enumerate()
        .filter_map(|(at, frame)| match frame {
            WatchFrame::Bookmark { resource_version, initial_events_end: true } => {
                Some((at, &**resource_version))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(16, "546")]);
    let annotation = |value| field(12, [field(1, "k8s.io/initial-events-end"), field(2, value)].concat());
    for (annotation, is_end) in [(annotation("true"), true), (annotation("false"), false), (vec![], false)] {
        let object = envelope("Pod", field(1, [field(6, "9"), annotation].concat()));
        let (frames, _) = whole_watch(Format::Protobuf, frame("BOOKMARK", object));
        let expected = WatchFrame::Bookmark { resource_version: "9".to_owned(), initial_events_end: is_end };
        assert_eq!(frames, [expected]);
    }
}

#[test]
fn errors_of_watches_are_statuses() {
    let (frames, _) = whole_watch(Format::Json, EXPIRED_WATCH.as_bytes());
    let [WatchFrame::Error(json)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((json.code, &*json.reason), (410, "Expired"));
    assert!(json.message.starts_with("too old resource version"), "{}", json.message);
    let details = field(5, vec![5 << 3, 3]);
    let text = [field(3, "slow down"), field(4, "TooManyRequests"), details, vec![6 << 3, 0xad, 3]].concat();
    for object in [envelope("Status", &text), text] {
        let (frames, _) = whole_watch(Format::Protobuf, frame("ERROR", object));
        let [WatchFrame::Error(status)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!((status.code, &*status.reason, &*status.message), (429, "TooManyRequests", "slow down"));
        assert_eq!(status.retry_after_seconds, Some(3));
    }
}

#[test]
fn failures_are_statuses_or_text() {
    let status = Status::of_answer(410, Some("application/json"), EXPIRED_CONTINUE.as_bytes());
    assert_eq!((status.code, &*status.reason), (410, "Expired"));
    assert!(status.continue_token.is_some(), "the token of an inconsistent list");
    let body = envelope("Status", [field(1, field(3, "token")), field(3, "gone")].concat());
    let status = Status::of_answer(410, Some("application/vnd.kubernetes.protobuf"), &body);
    assert_eq!((&*status.message, status.continue_token.as_deref()), ("gone", Some("token")));
    let status = Status::of_answer(502, Some("text/html"), " bad gateway\n".repeat(1000).as_bytes());
    assert_eq!(status.code, 502);
    assert!(status.message.starts_with("bad gateway"), "{}", status.message);
    assert_eq!(status.message.chars().count(), Status::MAX_MESSAGE);
}

#[test]
fn namespaces_are_metadata_in_both_encodings() {
    let (json, _) = decode_list::<Namespace>(
        Format::Json,
        DEFAULT_LIMIT,
        [Bytes::from_static(recording!("namespaces.json"))].into_iter(),
    );
    let names: Vec<_> = json
        .iter()
        .map(|item| match item {
            ListItem::Object(namespace) => namespace.metadata().name.clone(),
            ListItem::Malformed(object) => panic!("{object:?}"),
        })
        .collect();
    assert!(names.contains(&"kube-system".to_owned()), "{names:?}");
    let item = field(1, [field(1, "team-a"), field(3, ""), field(5, "u"), field(6, "1")].concat());
    let body = envelope("PartialObjectMetadataList", [field(1, field(2, "7")), field(2, item)].concat());
    let (items, end) =
        decode_list::<Namespace>(Format::Protobuf, DEFAULT_LIMIT, [Bytes::from(body)].into_iter());
    let [ListItem::Object(namespace)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((&*namespace.metadata().name, &*namespace.metadata().uid), ("team-a", "u"));
    assert_eq!(end.expect("a list").resource_version, "7");
}

#[test]
fn members_of_json_lists_in_any_order() {
    let item = r#"{"metadata":{"name":"a"}}"#;
    for body in [
        format!(r#"{{"items":[{item}],"metadata":{{"resourceVersion":"7"}},"kind":"PodList"}}"#),
        format!(
            " {{ \"\\u006bind\" : \"PodList\",\n\"x\":[{{\"items\":[1]}},\"]}}\"],\"y\":1, \"metadata\":{{\"resourceVersion\":\"7\"}},\"items\" : [ {item} ] }} \n"
        ),
    ] {
        let (items, end) = whole_list(Format::Json, &body);
        assert_eq!(end.as_ref().map(|end| &*end.resource_version), Ok("7"), "{body}");
        assert_eq!(names(&items), ["a"]);
    }
    for items in ["null", "[]", " [ ] "] {
        let body = format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":{items}}}"#);
        let (items, end) = whole_list(Format::Json, body);
        assert!(items.is_empty() && end.is_ok(), "{end:?}");
    }
}

#[test]
fn object_before_type_is_read_too() {
    let event = r#"{"object":{"metadata":{"name":"a"}},"type":"DELETED"}"#;
    let (frames, ended) = whole_watch(Format::Json, format!("{event}\n\n"));
    assert_eq!(ended, Ok(()));
    let [WatchFrame::Event { kind: EventKind::Deleted, object }] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(object.metadata().name, "a");
}

#[test]
fn what_is_no_list_is_an_error() {
    let not_a_list = |kind: &str| Err(DecodeError::NotAList { kind: kind.to_owned() });
    for (body, expected) in [
        (r#"{"kind":"Status","code":200}"#, not_a_list("Status")),
        (r#"{"metadata":{"resourceVersion":"7"}}"#, not_a_list("")),
        (r#"{"metadata":{},"items":[]}"#, Err(DecodeError::NoResourceVersion)),
        (r#"{"items":[]}"#, Err(DecodeError::NoResourceVersion)),
        ("", Err(DecodeError::CutOff)),
    ] {
        assert_eq!(whole_list(Format::Json, body), (vec![], expected), "{body}");
    }
    for body in
        ["<html>", "[]", r#"{"items":{}}"#, r#"{"items":[],}"#, r#"{"items":[]} x"#, r#"{"metadata":7}"#]
    {
        let (items, end) = whole_list(Format::Json, body);
        assert!(items.is_empty() && matches!(end, Err(DecodeError::Syntax { .. })), "{body}: {end:?}");
    }
    assert_eq!(whole_list(Format::Protobuf, envelope("Status", "")).1, not_a_list("Status"));
    assert_eq!(whole_list(Format::Protobuf, b"k8s\0").1, Err(DecodeError::CutOff));
    assert_eq!(whole_list(Format::Protobuf, envelope("PodList", "")).1, Err(DecodeError::NoResourceVersion));
    let (_, end) = whole_list(Format::Protobuf, LIST_JSON);
    assert!(matches!(end, Err(DecodeError::Syntax { part: BodyPart::List, .. })), "{end:?}");
}

#[test]
fn malformed_object_costs_itself_alone() {
    // Invalid in the status, which follows the metadata.
    let mut broken = pod("b");
    let status = broken.len() - 2;
    broken[status] = 0xff;
    let (items, end) = whole_list(Format::Protobuf, pod_list(&[pod("a"), broken.clone(), pod("c")]));
    assert_eq!(names(&items), ["a", "!b", "c"]);
    assert!(end.is_ok(), "{end:?}");
    let ListItem::Malformed(MalformedObject { metadata, cause }) = &items[1] else { panic!("{items:?}") };
    assert_eq!((&*metadata.namespace, &*metadata.uid, &*metadata.resource_version), ("ns", "uid-b", "5"));
    assert!(cause.starts_with("not valid protobuf"), "{cause}");
    let body =
        [frame("MODIFIED", envelope("Pod", broken)), frame("ADDED", envelope("Pod", pod("c")))].concat();
    let (frames, ended) = whole_watch(Format::Protobuf, body);
    assert_eq!(ended, Ok(()));
    assert!(
        matches!(&frames[0], WatchFrame::Malformed { kind: EventKind::Modified, object } if object.metadata.name == "b")
    );
    assert!(matches!(&frames[1], WatchFrame::Event { kind: EventKind::Added, .. }));
    // An invalid number between matching brackets.
    let body = r#"{"metadata":{"resourceVersion":"7"},"items":[{"a":01},{"metadata":{"name":"b"}}]}"#;
    let (items, end) = whole_list(Format::Json, body);
    assert_eq!(names(&items), ["!", "b"]);
    assert!(end.is_ok(), "{end:?}");
}

#[test]
fn wrong_types_cost_one_field_alone() {
    let body = r#"{"metadata":{"resourceVersion":"7"},"items":[7,{"metadata":{"name":"b","uid":7}}]}"#;
    let (items, _) = whole_list(Format::Json, body);
    assert_eq!(names(&items), ["", "b"]);
    let ListItem::Object(pod) = &items[1] else { panic!("{items:?}") };
    assert_eq!(pod.fault(), Some("metadata.uid is a number, not a string"));
}

#[test]
fn broken_events_are_errors() {
    for line in ["x", "[]", "{}", r#"{"type":"ADDED"}"#, r#"{"object":{}}"#, r#"{"type":"ADDED","object":{}"#]
    {
        let (_, ended) = whole_watch(Format::Json, format!("{line}\n"));
        assert!(matches!(ended, Err(DecodeError::Syntax { part: BodyPart::Event, .. })), "{line}: {ended:?}");
    }
    let unknown = Err(DecodeError::UnknownEvent { kind: "RENAMED".to_owned() });
    assert_eq!(whole_watch(Format::Json, "{\"type\":\"RENAMED\",\"object\":{}}\n").1, unknown);
    assert_eq!(whole_watch(Format::Protobuf, frame("RENAMED", "")).1, unknown);
    for event in [
        vec![0, 0, 0, 1, 0xff],
        vec![0, 0, 0, 2, 0x0a, 5],
        vec![0, 0, 0, 7, 0x0a, 5, b'A', b'D', b'D', b'E', b'D'],
    ] {
        let (_, ended) = whole_watch(Format::Protobuf, event);
        assert!(matches!(ended, Err(DecodeError::Syntax { part: BodyPart::Event, .. })), "{ended:?}");
    }
}

/// Returns for each encoding an object of exactly `size` bytes, as an item of a list and as an event.
fn objects_of(size: usize) -> [(Format, Vec<u8>, Vec<u8>); 2] {
    let json = |around: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(size - around - 8));
    let item = json(0);
    let list = format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":[{item}]}}"#).into_bytes();
    let line = format!("{{\"type\":\"ADDED\",\"object\":{}}}\n", json(26)).into_bytes();
    // The tag and the length of a string shorter than 128 bytes take two bytes.
    let padding = |around: usize| field(1, field(2, "x".repeat(size - around - 4)));
    let protobuf = pod_list(&[padding(0)]);
    [(Format::Json, list, line), (Format::Protobuf, protobuf, frame("ADDED", padding(11)))]
}

#[test]
fn parts_above_the_limit_are_errors() {
    let too_large = |part| DecodeError::TooLarge { part, limit: 100 };
    let chunk = |body: &[u8]| [Bytes::copy_from_slice(body)].into_iter();
    let list = |format, body: &[u8]| decode_list::<Pod>(format, 100, chunk(body)).1;
    let watch = |format, body: &[u8]| decode_watch::<Pod>(format, 100, chunk(body)).1;
    for (format, body, event) in objects_of(100) {
        assert_eq!(list(format, &body).map(|end| end.resource_version), Ok("7".to_owned()), "{format:?}");
        assert_eq!(watch(format, &event), Ok(()), "{format:?}");
    }
    for (format, body, event) in objects_of(101) {
        assert_eq!(list(format, &body), Err(too_large(BodyPart::Item)));
        assert_eq!(watch(format, &event), Err(too_large(BodyPart::Event)));
    }
    // Rejected because of its length, before its content has arrived.
    assert_eq!(watch(Format::Protobuf, &[0xff; 4]), Err(too_large(BodyPart::Event)));
    let metadata = format!(r#"{{"metadata":{{"continue":"{}"}}}}"#, "x".repeat(100));
    assert_eq!(list(Format::Json, metadata.as_bytes()), Err(too_large(BodyPart::Metadata)));
    // Skipped parts may have any size.
    let other =
        format!(r#"{{"other":"{}","metadata":{{"resourceVersion":"7"}},"items":[]}}"#, "x".repeat(1000));
    assert!(list(Format::Json, other.as_bytes()).is_ok());
}

#[test]
fn errors_name_the_limit() {
    let error = DecodeError::TooLarge { part: BodyPart::Event, limit: DEFAULT_LIMIT };
    assert_eq!(error.to_string(), "an event of the watch is larger than the limit of 16777216 bytes");
}

/// Every prefix of a body yields the first of its items, and never the end of the list.
#[test]
fn lists_cut_off_anywhere_are_errors() {
    for (format, body) in [(Format::Json, LIST_JSON), (Format::Protobuf, LIST_PROTOBUF)] {
        let body = body.trim_ascii_end();
        let (all, _) = whole_list(format, body);
        for length in (0..body.len()).step_by(7).chain(body.len() - 40..body.len()) {
            let (items, end) = whole_list(format, &body[..length]);
            assert!(all.starts_with(&items));
            // A protobuf response that is cut off between fields after the list still has the whole list.
            let is_whole = format == Format::Protobuf && items.len() == all.len();
            assert!(is_whole || end == Err(DecodeError::CutOff), "{length} bytes of {format:?}: {end:?}");
        }
    }
}

#[test]
fn watches_cut_off_anywhere_keep_whole_events() {
    for (format, body) in [(Format::Json, WATCH_JSON), (Format::Protobuf, WATCH_PROTOBUF)] {
        let (all, _) = whole_watch(format, body);
        for length in (0..body.len()).step_by(11) {
            let (frames, ended) = whole_watch(format, &body[..length]);
            assert!(all.starts_with(&frames));
            assert!(ended == Ok(()) || ended == Err(DecodeError::CutOff), "{length}: {ended:?}");
        }
    }
}

/// Returns a position in `length` bytes: `at` of 65,536 parts.
fn place(at: u16, length: usize) -> usize {
    (usize::from(at) * length) >> 16
}

/// Cuts a body at these positions, which are arguments of [`place`].
fn cut(body: &[u8], at: &[u16]) -> Vec<Bytes> {
    let mut at: Vec<usize> = at.iter().map(|at| place(*at, body.len())).collect();
    at.sort_unstable();
    at.insert(0, 0);
    at.push(body.len());
    at.windows(2).map(|pair| Bytes::copy_from_slice(&body[pair[0]..pair[1]])).collect()
}

proptest! {
    #[test]
    fn chunks_do_not_matter_for_recordings(at in prop::collection::vec(any::<u16>(), 0..200)) {
        for (format, body) in [(Format::Json, LIST_JSON), (Format::Protobuf, LIST_PROTOBUF)] {
            prop_assert!(decode_list(format, DEFAULT_LIMIT, cut(body, &at).into_iter()) == whole_list(format, body));
        }
        for (format, body) in
            [(Format::Json, WATCH_JSON), (Format::Json, STREAMING_LIST), (Format::Protobuf, WATCH_PROTOBUF)]
        {
            prop_assert!(decode_watch(format, DEFAULT_LIMIT, cut(body, &at).into_iter()) == whole_watch(format, body));
        }
    }

    /// Recordings with some bytes changed: the division into chunks does not affect the result, and nothing panics.
    #[test]
    fn chunks_do_not_matter_for_garbage(
        at in prop::collection::vec(any::<u16>(), 0..20),
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4),
        limit in 500_usize..4000,
    ) {
        for (format, body) in [(Format::Json, LIST_JSON), (Format::Protobuf, LIST_PROTOBUF)] {
            let mut body = body.to_vec();
            let length = body.len();
            for (at, byte) in &changes {
                body[place(*at, length)] = *byte;
            }
            let whole = decode_list::<Pod>(format, limit, [Bytes::copy_from_slice(&body)].into_iter());
            prop_assert!(decode_list(format, limit, cut(&body, &at).into_iter()) == whole);
            let whole = decode_watch::<Pod>(format, limit, [Bytes::copy_from_slice(&body)].into_iter());
            prop_assert!(decode_watch(format, limit, cut(&body, &at).into_iter()) == whole);
        }
        for (format, body) in [(Format::Json, WATCH_JSON), (Format::Protobuf, WATCH_PROTOBUF)] {
            let mut body = body.to_vec();
            let length = body.len();
            for (at, byte) in &changes {
                body[place(*at, length)] = *byte;
            }
            let whole = decode_watch::<Pod>(format, limit, [Bytes::copy_from_slice(&body)].into_iter());
            prop_assert!(decode_watch(format, limit, cut(&body, &at).into_iter()) == whole);
        }
    }
}

#[test]
fn single_bytes_give_the_same_frames() {
    let bytes = |body: &'static [u8]| body.chunks(1).map(Bytes::from_static);
    for (format, body) in [(Format::Json, LIST_JSON), (Format::Protobuf, LIST_PROTOBUF)] {
        assert!(decode_list(format, DEFAULT_LIMIT, bytes(body)) == whole_list(format, body), "{format:?}");
    }
    for (format, body) in [(Format::Json, WATCH_JSON), (Format::Protobuf, WATCH_PROTOBUF)] {
        assert!(decode_watch(format, DEFAULT_LIMIT, bytes(body)) == whole_watch(format, body), "{format:?}");
    }
}

#[test]
fn content_types_name_the_format() {
    for (value, format) in [
        ("application/json", Some(Format::Json)),
        ("Application/JSON; charset=utf-8", Some(Format::Json)),
        ("application/vnd.kubernetes.protobuf;stream=watch", Some(Format::Protobuf)),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(Format::of_content_type(value), format, "{value}");
    }
}
