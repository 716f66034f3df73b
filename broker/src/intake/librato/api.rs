//! What requests mean. Those with measurements are added to the broker's window.

use super::annotation::{Fields, Valid};
use super::answer::Answer;
use super::batches::Batches;
use super::bodies::{Refused, not_json, read, read_lists};
use super::checked::{Clock, Measured, Reading, Readings, check};
use super::collectd::take;
use super::faults::Faults;
use super::payload::{MAX_MEASUREMENTS, Payload};
use super::plain::{PlainGauge, plain_gauges};
use super::repeats::{Repeats, RequestKey};
use super::seen::{About, Page, Seen};
use super::totals::{Change, Totals};
use super::value_lists::{ValueLists, is_list};
use crate::intake::IntakeContext;
use crate::intake::collectd::{Converter, fields, line};
use serde_json::json;
use std::net::SocketAddr;
use zibrato::window::Fold;
use zibrato::{DEFAULT_SOURCE, Gauge};

/// A request with valid credentials for a path that is served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<B> {
    pub(super) call: Call,
    pub(super) is_form: bool,
    pub(super) body: B,
    pub(super) sender: SocketAddr,
    /// Identifies the request if the client sends it again.
    pub(super) key: Option<RequestKey>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// `POST /v1/annotations/STREAM`
    Annotate { stream: String },
    /// `GET /v1/metrics?QUERY`
    List { query: String },
    /// `POST /v1/measurements`
    Measurements,
    /// `POST /v1/metrics`
    Metrics,
    /// `GET /v1/metrics/NAME`
    Show { name: String },
}

/// When the answer is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Now(Answer),
    /// Once the broker has acknowledged what was folded.
    OnDisk(Answer),
}

/// The state behind the API.
#[derive(Debug)]
pub(super) struct Api {
    level: String,
    max_age: u64,
    seen: Seen,
    totals: Totals,
    annotations: u64,
    repeats: Repeats,
    /// What is not published yet, except for measurements that rules may change.
    batches: Batches,
    collectd: Converter,
}

impl Api {
    /// `max_age` of a reading is in seconds.
    pub(super) fn new(level: String, max_age: u64) -> Self {
        let (seen, totals) = (Seen::default(), Totals::default());
        let (repeats, batches) = (Repeats::default(), Batches::default());
        let collectd = Converter::default();
        Self { level, max_age, seen, totals, annotations: 0, repeats, batches, collectd }
    }

    /// Approximate memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.seen.bytes() + self.totals.bytes() + self.repeats.bytes() + self.collectd.bytes()
    }

    /// Answers a request. One that was answered before gets the same answer, once what was folded for
    /// it is on disk.
    pub(super) fn handle<B: AsRef<[u8]>>(
        &mut self,
        context: &mut IntakeContext,
        request: &Request<B>,
    ) -> Done {
        let Some(key) = request.key.clone() else { return self.answer(context, request) };
        let key = key.with_body(request.body.as_ref());
        if let Some(answer) = self.repeats.answer(&key) {
            context.reject_many("repeated", 1, b"");
            return Done::OnDisk(answer.clone());
        }
        let done = self.answer(context, request);
        if let Done::OnDisk(answer) = &done {
            self.repeats.remember(key, answer.clone());
        }
        done
    }

    fn answer<B: AsRef<[u8]>>(
        &mut self,
        context: &mut IntakeContext,
        request: &Request<B>,
    ) -> Done {
        let (body, sender) = (request.body.as_ref(), request.sender);
        match &request.call {
            Call::List { query } => Done::Now(match Page::of_query(query) {
                Ok(page) => Answer::json(200, &self.seen.list(&page)),
                Err((name, why)) => Answer::wrong_parameter(name, why),
            }),
            Call::Show { name } => Done::Now(match self.seen.metric(name) {
                Some(metric) => Answer::json(200, &metric),
                None => Answer::error(404, "Not Found: no such metric was received"),
            }),
            _ if !self.has_room(context) => {
                context.reject("busy", format!("from {sender}: a request").as_bytes());
                Done::Now(Answer::later("too much waits to be written; try again"))
            }
            Call::Annotate { stream } => match Self::annotation(body, request.is_form) {
                Ok(fields) => self.annotate(context, stream, &fields, sender),
                Err(refused) => refuse(context, sender, refused),
            },
            call @ (Call::Measurements | Call::Metrics) => {
                let is_tagged = *call == Call::Measurements;
                if is_tagged && is_list(body) {
                    // Texts that are not UTF-8 cost only the list that contains them.
                    return match read_lists(&String::from_utf8_lossy(body)) {
                        Ok(lists) => self.collect(context, &lists, sender),
                        Err(refused) => refuse(context, sender, refused),
                    };
                }
                let is_json = !is_tagged && !request.is_form;
                if is_json && let Some(gauges) = plain_gauges(body, self.clock(context)) {
                    return self.take_plain(context, &gauges);
                }
                match read(body, request.is_form, is_tagged) {
                    Ok(payload) => self.measure(context, &payload, sender, is_tagged),
                    Err(refused) => refuse(context, sender, refused),
                }
            }
        }
    }

    /// Whether the measurements of another request can be added.
    fn has_room(&self, context: &IntakeContext) -> bool {
        // A series for itself, and one that a rule might make of it.
        context.has_room_for(2 * MAX_MEASUREMENTS) && self.batches.has_room_for(MAX_MEASUREMENTS)
    }

    /// Whether batches wait to be published.
    pub(super) const fn has_batches(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Publishes what was taken.
    pub(super) fn publish(&mut self, context: &mut IntakeContext) {
        context.publish_folded(&self.level, self.batches.take());
    }

    /// Adds a measurement: to the broker's window if rules may change it, or else to a batch.
    fn add(
        &mut self,
        context: &mut IntakeContext,
        [source, name]: [&str; 2],
        tags: &[(&str, &str)],
        value: &Fold,
    ) {
        if context.has_rules() {
            return context.fold_series(&self.level, source, name, tags, value);
        }
        self.batches.add([source, name], tags, value, context.now_ms());
    }

    /// When times are acceptable.
    const fn clock(&self, context: &IntakeContext) -> Clock {
        Clock { now_ms: context.now_ms(), max_age: self.max_age }
    }

    fn take_plain(&mut self, context: &mut IntakeContext, gauges: &[PlainGauge<'_>]) -> Done {
        for gauge in gauges {
            let PlainGauge { name, source, value, at_ms } = *gauge;
            self.seen.note(name, About::default());
            let fold = Fold::Gauge(Some(Gauge::reading(value, at_ms)));
            self.add(context, [source.unwrap_or(DEFAULT_SOURCE), name], &[], &fold);
        }
        context.taken(gauges.len() as u64);
        Done::OnDisk(Answer::empty(200))
    }

    fn measure(
        &mut self,
        context: &mut IntakeContext,
        payload: &Payload<'_>,
        sender: SocketAddr,
        is_tagged: bool,
    ) -> Done {
        let clock = self.clock(context);
        let readings = match check(payload, clock) {
            Ok(readings) => readings,
            Err(faults) => return refuse_all(context, sender, &faults, payload.len() as u64),
        };
        let count = readings.all.len();
        self.fold(context, &readings);
        context.taken(count as u64);
        if !is_tagged {
            return Done::OnDisk(Answer::empty(200));
        }
        let summary = json!({ "total": count, "accepted": count, "failed": 0, "filtered": 0 });
        Done::OnDisk(Answer::json(202, &json!({ "measurements": { "summary": summary } })))
    }

    fn fold(&mut self, context: &mut IntakeContext, readings: &Readings<'_>) {
        let mut pairs = Vec::new();
        for reading in &readings.all {
            let Reading { name, source, tags, value, at_ms, .. } = reading;
            let Reading { period, display_name, description, .. } = *reading;
            let source = source.as_deref().unwrap_or(DEFAULT_SOURCE);
            let is_counter = matches!(value, Measured::Total(_));
            self.seen.note(name, About { is_counter, period, display_name, description });
            let fold = match *value {
                Measured::Gauge(gauge) => Fold::Gauge(Some(gauge)),
                Measured::Total(total) => {
                    match self.totals.replace([source, name], total, *at_ms) {
                        Change::More(more) => Fold::Counter(more),
                        Change::First => {
                            context.reject_many("first_total", 1, b"");
                            continue;
                        }
                        Change::Late => {
                            context.reject("late_total", name.as_bytes());
                            continue;
                        }
                    }
                }
            };
            let tags = tags.as_ref().unwrap_or(&readings.tags);
            pairs.extend(tags.iter().map(|(tag, value)| (&**tag, &**value)));
            self.add(context, [source, name], &pairs, &fold);
            pairs.clear();
        }
    }

    /// Takes the value lists of a CollectD.
    fn collect(
        &mut self,
        context: &mut IntakeContext,
        lists: &ValueLists<'_>,
        sender: SocketAddr,
    ) -> Done {
        let clock = self.clock(context);
        let (uptime_ms, has_rules) = (context.uptime_ms(), context.has_rules());
        let Self { level, seen, collectd, batches, .. } = self;
        let taken = take(collectd, lists, (clock, uptime_ms), |sample| {
            let (line, fields) = (line(level, sample), fields(sample));
            if has_rules {
                // What rules drop is no fault of the client.
                context.fold_from(&line, Some(sender), Some(fields));
                return Ok(());
            }
            line.check().map_err(|error| (error.reason(), error.to_string()))?;
            let period = Some(fields.interval);
            seen.note(sample.name, About { period, ..About::default() });
            let gauge = Fold::Gauge(Some(Gauge::reading(sample.value, line.timestamp_ms())));
            batches.add([line.source, line.name], &[], &gauge, clock.now_ms);
            context.taken(1);
            Ok(())
        });
        for (reason, (count, sample)) in &taken.faults.reasons {
            context.reject_many(reason, *count, format!("from {sender}: {sample}").as_bytes());
        }
        let unknown = format!("from {sender}: {}", taken.sample);
        context.reject_many("value", taken.unknown as u64, unknown.as_bytes());
        let answer = taken.answer(lists.values);
        if answer.status == 200 { Done::OnDisk(answer) } else { Done::Now(answer) }
    }

    fn annotation(body: &[u8], is_form: bool) -> Result<Fields<'_>, Refused> {
        if is_form {
            return Ok(Fields::of_form(body));
        }
        // Clients send no body at all if there are no fields.
        let body = if body.is_empty() { b"{}" } else { body };
        serde_json::from_slice(body).map_err(|error| not_json(&error))
    }

    fn annotate(
        &mut self,
        context: &mut IntakeContext,
        stream: &str,
        fields: &Fields<'_>,
        sender: SocketAddr,
    ) -> Done {
        let id = self.annotations + 1;
        let Valid { annotation, source, shown } =
            match fields.check(stream, id, context.now_ms() / 1_000) {
                Ok(annotation) => annotation,
                Err(faults) => return refuse_all(context, sender, &faults, 1),
            };
        self.annotations = id;
        let source = source.as_deref().unwrap_or(DEFAULT_SOURCE);
        self.batches.annotate(source, &annotation, context.now_ms());
        context.taken(1);
        Done::OnDisk(Answer::json(201, &shown))
    }
}

fn refuse(context: &mut IntakeContext, sender: SocketAddr, refused: Refused) -> Done {
    let Refused(answer, reason) = refused;
    let sample = format!("from {sender}");
    context.reject_because(reason, Some(&answer.why), 1, sample.as_bytes());
    Done::Now(answer)
}

/// Refuses a request with some invalid measurements. The others of its `count` are counted too.
fn refuse_all(
    context: &mut IntakeContext,
    sender: SocketAddr,
    faults: &Faults,
    count: u64,
) -> Done {
    for (reason, (count, sample)) in &faults.reasons {
        context.reject_many(reason, *count, format!("from {sender}: {sample}").as_bytes());
    }
    context.reject_many("beside_invalid", count.saturating_sub(faults.count()), b"");
    Done::Now(Answer::json(400, &faults.body()))
}
