//! The values of a list by themselves, for people who try rules.

use super::files::Files;
use super::names::write_name;
use super::types_db::TypesDb;
use super::value_list::ListId;
use crate::intake::rules::Collectd as Fields;
use std::path::PathBuf;

/// The types of `types.db` files.
#[derive(Debug)]
pub(crate) struct Types(TypesDb);

/// The identity of a list of values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) plugin_instance: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) type_instance: &'a str,
}

impl Types {
    /// Reads the given files, or those of an installed CollectD.
    ///
    /// # Errors
    /// A message that names the flag, and says how to correct it.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, String> {
        Files::new(files, None).read_types().map(Self).map_err(|error| error.to_string())
    }

    /// Calls `take` with each of the `values` of a list: its name in an intake with default flags, and
    /// its identity for rules.
    ///
    /// # Errors
    /// The type is unknown, or has another number of values.
    pub(crate) fn values(
        &self,
        identity: Identity<'_>,
        values: &[f64],
        mut take: impl FnMut(&str, Fields<'_>, f64),
    ) -> Result<(), String> {
        let Identity { plugin, plugin_instance, type_name, type_instance } = identity;
        let Some(sources) = self.0.get(type_name) else {
            return Err(format!("no types.db has the type {type_name}"));
        };
        if values.len() != sources.len() {
            let names: Vec<_> = sources.iter().map(|source| &*source.name).collect();
            let names = names.join(":");
            return Err(format!("types.db has other values for the type {type_name}: {names}"));
        }
        let (host, time, interval) = ("", 0, 0);
        let list =
            ListId { host, plugin, plugin_instance, type_name, type_instance, time, interval };
        let mut name = String::new();
        for (source, value) in sources.iter().zip(values) {
            write_name(&list, &source.name, sources.len(), None, &mut name);
            let fields = Fields {
                plugin,
                plugin_instance,
                type_name,
                type_instance,
                value_name: &source.name,
                value_type: source.kind.code(),
                interval: 10.0,
            };
            take(&name, fields, *value);
        }
        Ok(())
    }
}
