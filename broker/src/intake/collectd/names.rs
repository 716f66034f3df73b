//! The name of each value: parts of its identity, joined with dots.
//!
//! Pure: takes bytes and times, opens nothing.
//!
//! | plugin | name |
//! |---|---|
//! | `cpu` | plugin, plugin instance, type instance |
//! | `interface` | plugin, plugin instance, type instance, type, data source |
//! | `memory` | plugin, type instance |
//! | any other | plugin, plugin instance, type, type instance, data source |
//!
//! Empty parts are omitted, and so are blanks at both ends of parts. A type or data source `value`
//! is omitted, except for `interface`. If a type of `cpu` or `memory` has several data sources, the
//! data source is added.

use super::value_list::ListId;

/// Writes the name of a value of `list` into `name`. `source` is its data source, and `sources` the
/// number of data sources of its type. Dots in parts are replaced with `dot`, if it is given.
pub(super) fn write_name(
    list: &ListId<'_>,
    source: &str,
    sources: usize,
    dot: Option<&str>,
    name: &mut String,
) {
    let ListId { plugin, plugin_instance, type_name, type_instance, .. } = *list;
    let if_several = if sources > 1 { source } else { "" };
    let parts = match plugin {
        "cpu" => [plugin, plugin_instance, type_instance, if_several, ""],
        "memory" => [plugin, type_instance, if_several, "", ""],
        "interface" => [plugin, plugin_instance, type_instance, type_name, source],
        _ => {
            let type_name = unless_value(type_name);
            [plugin, plugin_instance, type_name, type_instance, unless_value(source)]
        }
    };
    name.clear();
    for part in parts.map(str::trim).into_iter().filter(|part| !part.is_empty()) {
        if !name.is_empty() {
            name.push('.');
        }
        match dot {
            Some(dot) => part.split('.').enumerate().for_each(|(at, piece)| {
                name.push_str(if at > 0 { dot } else { "" });
                name.push_str(piece);
            }),
            None => name.push_str(part),
        }
    }
}

fn unless_value(part: &str) -> &str {
    if part.trim() == "value" { "" } else { part }
}

#[cfg(test)]
mod tests {
    use super::{ListId, write_name};

    fn name(parts: [&str; 5], sources: usize, dot: Option<&str>) -> String {
        let [plugin, plugin_instance, type_name, type_instance, source] = parts;
        let list = ListId {
            host: "h",
            plugin,
            plugin_instance,
            type_name,
            type_instance,
            time: 0,
            interval: 0,
        };
        let mut name = "left over".to_owned();
        write_name(&list, source, sources, dot, &mut name);
        name
    }

    #[test]
    fn names_are_those_of_bucky() {
        for (parts, sources, expected) in [
            (["cpu", "0", "cpu", "user", "value"], 1, "cpu.0.user"),
            (["cpu", "", "cpu", "user", "value"], 1, "cpu.user"),
            (["cpu", "0", "if_octets", "user", "rx"], 2, "cpu.0.user.rx"),
            (["interface", "eth0", "if_octets", "", "rx"], 2, "interface.eth0.if_octets.rx"),
            (["interface", "eth0", "gauge", "", "value"], 1, "interface.eth0.gauge.value"),
            (["memory", "x", "memory", "free", "value"], 1, "memory.free"),
            (["memory", "", "load", "free", "midterm"], 3, "memory.free.midterm"),
            (["df", "root", "df_complex", "free", "value"], 1, "df.root.df_complex.free"),
            (["load", "", "load", "", "shortterm"], 3, "load.load.shortterm"),
            (["uptime", "", "uptime", "", "value"], 1, "uptime.uptime"),
            (["x", "", "value", "", "value"], 1, "x"),
            (["my plug", " a b ", "gauge", "c ", " value "], 1, "my plug.a b.gauge.c"),
            (["ping", "", "gauge", "www.example.com", "value"], 1, "ping.gauge.www.example.com"),
            ([" ", "", "value", "", "value"], 1, ""),
        ] {
            assert_eq!(name(parts, sources, None), expected, "{parts:?}");
        }
    }

    #[test]
    fn dots_in_parts_can_be_replaced() {
        let ping = ["ping", "", "gauge", "www.example.com", "value"];
        assert_eq!(name(ping, 1, Some("_")), "ping.gauge.www_example_com");
        assert_eq!(name(ping, 1, Some("")), "ping.gauge.wwwexamplecom");
        assert_eq!(name(["cpu", ".0", "cpu", "user.", "v"], 1, Some("_")), "cpu._0.user_");
    }
}
