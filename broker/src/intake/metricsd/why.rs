//! Sentences for the reasons by which input of MetricsD is rejected.

/// What is wrong with input that is counted by `reason`.
pub(super) fn why(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "action" => "the low four bits of a command are none of 0 update, 1 clear and 2 delete",
        "encoding" => "a text is not UTF-8",
        "magic" => "the packet does not begin with 0xAA, so it is not one of MetricsD",
        "name" => "the name is empty, contains | or a control character, or is too long",
        "number" => "the packet ends within a number",
        "number_type" => "the type of a number is unknown",
        "series" => "there are too many metrics; delete some, or lower --metricsd-expire",
        "source" => "the host contains | or a control character, or is longer than 255 bytes",
        "string" => "the packet ends within a text",
        "terminator" => "a text does not end with a zero byte",
        "type" => "the high four bits of a command are no kind of metric",
        "value" => "the value is infinite or not a number",
        _ => return None,
    })
}
