//! A client of Librato's API, and of servers that are compatible with it, such as the intake of
//! Zibrato's broker.
//!
//! It does everything that python-librato does, with the same requests, and needs no worker. It
//! blocks the calling thread.
//!
//! ```no_run
//! use zibrato_workers::librato::client::{Client, Credentials, Measurement};
//! let credentials = Credentials::new("user@example.com", "tok123")?;
//! let client = Client::builder(credentials).url("https://metrics.example.com/v1").build()?;
//! let mut queue = client.queue();
//! queue.add(Measurement::gauge("temperature", 22.5).source("attic"))?;
//! queue.add(Measurement::counter("connections", 20))?;
//! queue.submit()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | part of the API | here |
//! |---|---|
//! | measurements | [`Client::submit`], [`Client::queue`], [`Client::aggregator`] |
//! | metrics | [`Client::metrics`] |
//! | reading measurements with tags | [`Client::measurements`] |
//! | annotations | [`Client::annotations`] |
//! | alerts and whom they tell | [`Client::alerts`], [`Client::services`] |
//! | spaces and charts | [`Client::spaces`], [`Client::charts`] |
//! | jobs | [`Client::jobs`] |
//!
//! `docs/librato.md` has a call of this library for each call of python-librato.
//!
//! # Errors and retries
//!
//! A rejection is an [`ApiError`] with the code, the payload and the message. A [`RetryPolicy`] says
//! how often a request is sent again. Redirects are not followed, so no other server gets the
//! credentials. Numbers that are not finite are refused before they are sent.

mod aggregator;
mod alert;
mod alerts;
mod annotations;
mod answer;
mod attributes;
mod auth;
mod builder;
mod charts;
mod chunks;
mod condition;
mod connection;
mod error;
mod event;
mod extra;
mod id;
mod job;
mod lenient;
mod measurement;
mod measurements;
mod metric;
mod metrics;
mod number;
mod page;
mod payload;
mod queue;
mod rate_limits;
mod request;
mod sanitize;
mod services;
mod spaces;
mod span;
mod stream;
mod submit;
mod tags;

/// The examples of the page, which are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/librato.md")]
mod examples_of_the_page {}

// The public interface is:
pub use crate::http::retry::RetryPolicy;
pub use aggregator::Aggregator;
pub use alert::{Alert, AlertAttributes, AlertStatus};
pub use alerts::Alerts;
pub use annotations::{AnnotationQuery, Annotations};
pub use attributes::Attributes;
pub use auth::{Credentials, CredentialsError};
pub use builder::{BuildError, ClientBuilder};
pub use charts::{Chart, ChartKind, Charts, Threshold};
pub use condition::{Condition, ConditionKind, TagFilter};
pub use connection::Client;
pub use error::{ApiError, ApiErrorKind, Error};
pub use event::{Annotation, AnnotationStream};
pub use extra::Extra;
pub use id::Id;
pub use job::{Completion, Job, JobState, Jobs};
pub use measurement::{Measurement, Summary};
pub use measurements::{Link, Measurements, MeasurementsQuery, Series, SeriesList, TaggedPoint};
pub use metric::{
    Composite, CompositeSeries, Metric, MetricKind, MetricPart, MetricProperties, Point,
};
pub use metrics::{CompositeQuery, MetricQuery, Metrics};
pub use number::Number;
pub use page::{ListQuery, Page, PageInfo, Pages, Sort};
pub use payload::{ErrorPayload, FieldError};
pub use queue::{Queue, Rejected};
pub use rate_limits::{RateLimit, RateLimits};
pub use sanitize::sanitize_metric_name;
pub use services::{Service, Services};
pub use spaces::{ChartId, Space, Spaces};
pub use span::Span;
pub use stream::Stream;
pub use tags::Tags;
