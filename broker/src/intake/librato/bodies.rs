//! From the body of a request with measurements to what its client wrote, or to the refusal of all of it.
//!
//! Pure: takes bytes, opens nothing.

use super::answer::Answer;
use super::payload::{MAX_MEASUREMENTS, Payload};
use super::value_lists::ValueLists;

/// A request with measurements that is refused: the answer, and the reason for the counter.
pub(super) struct Refused(pub(super) Answer, pub(super) &'static str);

/// Reads CollectD's value lists.
pub(super) fn read_lists(body: &str) -> Result<ValueLists<'_>, Refused> {
    let lists = ValueLists::of_json(body).map_err(|error| not_json(&error))?;
    check_number(lists.values)?;
    if lists.lists.is_empty() {
        return Err(Refused(Answer::error(400, "the list is empty"), "empty"));
    }
    Ok(lists)
}

fn check_number(measurements: usize) -> Result<(), Refused> {
    if measurements <= MAX_MEASUREMENTS {
        return Ok(());
    }
    let why = format!(
        "{measurements} measurements are too many; send at most {MAX_MEASUREMENTS} in a request"
    );
    Err(Refused(Answer::error(413, &why), "too_many"))
}

/// Reads the measurements of a request.
pub(super) fn read(body: &[u8], is_form: bool, is_tagged: bool) -> Result<Payload<'_>, Refused> {
    let payload = if is_form {
        Payload::of_form(body)
    } else {
        Payload::of_json(body).map_err(|error| not_json(&error))?
    };
    check_number(payload.len())?;
    let [gauges, counters, measurements] = payload.lists().map(|(_, list)| list.is_given);
    match (is_tagged, measurements, gauges || counters) {
        (true, true, false) if payload.len() == 0 && !payload.measurements.is_wrong => {
            let answer = Answer::wrong_parameter("measurements", "there must be at least one");
            Err(Refused(answer, "empty"))
        }
        (true, true, false) | (false, false, true) => Ok(payload),
        (true, ..) => {
            let why = "the body has no measurements: expected \
                       {\"measurements\": [{\"name\": \"a\", \"value\": 1, \"tags\": {}}]}";
            Err(Refused(Answer::error(422, why), "shape"))
        }
        (false, ..) => {
            let why = "the body has no gauges and no counters: expected \
                       {\"gauges\": [{\"name\": \"a\", \"value\": 1}]}";
            Err(Refused(Answer::error(400, why), "shape"))
        }
    }
}

pub(super) fn not_json(error: &serde_json::Error) -> Refused {
    let why = format!("the body is not valid JSON: {error}; numbers are finite, without NaN");
    Refused(Answer::error(400, &why), "json")
}
