//! Writes metrics in Prometheus' text format, version 0.0.4.

use std::fmt::Write;

/// Metrics in Prometheus' text format.
///
/// ```
/// use zibrato::daemon::Exposition;
/// let mut page = Exposition::new();
/// page.counter("jobs_total", "Jobs taken.").sample(&[("queue", "mail")], 3.0);
/// let page = page.finish();
/// let lines: Vec<_> = page.lines().collect();
/// assert_eq!(lines[0], "# HELP jobs_total Jobs taken.");
/// assert_eq!(lines[1], "# TYPE jobs_total counter");
/// assert_eq!(lines[2], r#"jobs_total{queue="mail"} 3"#);
/// ```
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// No metrics yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a counter; its name should end in `_total`.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "counter")
    }

    /// Begins a gauge.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "gauge")
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: &str) -> Family<'a> {
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        escape(&mut self.text, help, &['\\', '\n']);
        self.text.push_str("\n# TYPE ");
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(kind);
        self.text.push('\n');
        Family { name, text: &mut self.text }
    }
}

/// One metric, whose samples differ by their labels.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Family<'_> {
    /// Adds a sample. Label names are written unchanged, values are escaped.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.text.push_str(self.name);
        for (i, (label, text)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(self.text, text, &['\\', '\n', '"']);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a String cannot fail.
        let written = if value.is_infinite() {
            writeln!(self.text, " {}Inf", if value > 0.0 { '+' } else { '-' })
        } else {
            writeln!(self.text, " {value}")
        };
        debug_assert!(written.is_ok());
        self
    }
}

fn escape(to: &mut String, text: &str, special: &[char]) {
    for c in text.chars() {
        if special.contains(&c) {
            to.push('\\');
        }
        to.push(if c == '\n' && special.contains(&c) { 'n' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    #[test]
    fn labels_and_help_are_escaped() {
        let mut page = Exposition::new();
        page.gauge("g", "a\\b\n\"c\"").sample(&[("l", "a\\b\n\"c\""), ("m", "x")], 0.5);
        assert_eq!(
            page.finish(),
            "# HELP g a\\\\b\\n\"c\"\n# TYPE g gauge\ng{l=\"a\\\\b\\n\\\"c\\\"\",m=\"x\"} 0.5\n"
        );
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let mut page = Exposition::new();
        let mut family = page.gauge("g", "h");
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e15, -0.25] {
            family.sample(&[], value);
        }
        let text = page.finish();
        let values: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(values, ["g +Inf", "g -Inf", "g NaN", "g 1000000000000000", "g -0.25"]);
    }
}
