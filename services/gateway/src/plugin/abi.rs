//! What a plug-in may import and must export.
//!
//! It exports its memory as `memory` and a function `route` without parameters and results, which is called for each request. It may
//! import, of `squall_route_1`, all lengths and pointers `i32` and taken as unsigned:
//!
//! | function | does |
//! | --- | --- |
//! | `header(name, name_len, into, into_len) -> i32` | copies the first value of a header, named in any case |
//! | `metadata(name, name_len, into, into_len) -> i32` | copies what the gateway was told of itself: `version`, `region` |
//! | `method(into, into_len) -> i32` | copies the method |
//! | `path(into, into_len) -> i32` | copies the path, without its query |
//! | `target(cluster, cluster_len, weight: f64)` | sends this share of users, 0 to 1, to this cluster |
//!
//! What copies returns how long the value is in bytes, also where that is more than `into_len`, and copies at most `into_len` of them; it returns
//! -1 where there is no such value. Of several targets the last one counts; without any, the table decides. A pointer outside of the memory
//! ends the call, and with it the instance. What the host does takes fuel too.

use std::sync::Arc;

use http::HeaderMap;
use wasmi::errors::HostError;
use wasmi::{Caller, Engine, Error, Linker, Memory, StoreLimits, StoreLimitsBuilder};

use super::{MEMORY_BYTES_MAX, Metadata, PluginFailure, TABLE_ELEMENTS_MAX};
use crate::route::RouteRequest;

/// The module of all imports; its number is the version of this interface.
pub(super) const MODULE: &str = "squall_route_1";
pub(super) const FUNCTIONS: [&str; 5] = ["header", "metadata", "method", "path", "target"];
pub(super) const ROUTE: &str = "route";
pub(super) const MEMORY: &str = "memory";

/// What each call of the host takes, and for how many bytes it takes one more.
const HOST_FUEL: u64 = 100;
const BYTES_PER_FUEL: usize = 16;
/// Longer than any cluster's name.
const CLUSTER_BYTES_MAX: usize = 1_024;
const MISSING: i32 = -1;

/// Ends a call from within the host.
#[derive(Debug)]
pub(super) struct Refused(pub(super) PluginFailure);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl HostError for Refused {}

/// What the host knows during a call. The buffers are used again by the next one.
pub(super) struct Call {
    pub(super) limits: StoreLimits,
    pub(super) memory: Option<Memory>,
    metadata: Arc<Metadata>,
    /// Method, path, and names and values of the header, end to end; the request itself does not live long enough to be kept here.
    text: Vec<u8>,
    method_end: usize,
    path_end: usize,
    /// Where each name and each value ends.
    headers: Vec<(usize, usize)>,
    cluster: String,
    /// Set if there is a target.
    weight: Option<f64>,
}

/// Which value is copied.
#[derive(Clone, Copy)]
enum Value {
    Method,
    Path,
}

impl Call {
    pub(super) fn new(metadata: Arc<Metadata>) -> Self {
        Self {
            limits: StoreLimitsBuilder::new()
                .instances(1)
                .memories(1)
                .tables(4)
                .memory_size(MEMORY_BYTES_MAX)
                .table_elements(TABLE_ELEMENTS_MAX)
                .trap_on_grow_failure(true)
                .build(),
            memory: None,
            metadata,
            text: Vec::new(),
            method_end: 0,
            path_end: 0,
            headers: Vec::new(),
            cluster: String::new(),
            weight: None,
        }
    }

    /// Begins anew with this request.
    pub(super) fn begin(&mut self, request: &RouteRequest<'_>) {
        self.text.clear();
        self.text.extend_from_slice(request.method.as_bytes());
        self.method_end = self.text.len();
        self.text.extend_from_slice(request.bare_path().as_bytes());
        self.path_end = self.text.len();
        self.copy(request.headers);
        self.weight = None;
    }

    fn copy(&mut self, headers: &HeaderMap) {
        self.headers.clear();
        for (name, value) in headers {
            self.text.extend_from_slice(name.as_str().as_bytes());
            let name_end = self.text.len();
            self.text.extend_from_slice(value.as_bytes());
            self.headers.push((name_end, self.text.len()));
        }
    }

    /// What the call asked for.
    pub(super) fn target(&self) -> Option<(&str, f64)> {
        self.weight.map(|weight| (self.cluster.as_str(), weight))
    }

    fn value(&self, value: Value) -> &[u8] {
        match value {
            Value::Method => &self.text[..self.method_end],
            Value::Path => &self.text[self.method_end..self.path_end],
        }
    }

    fn header(&self, name: &[u8]) -> Option<&[u8]> {
        let mut begin = self.path_end;
        for &(name_end, value_end) in &self.headers {
            if self.text[begin..name_end].eq_ignore_ascii_case(name) {
                return Some(&self.text[name_end..value_end]);
            }
            begin = value_end;
        }
        None
    }

    fn metadata(&self, name: &[u8]) -> Option<&[u8]> {
        let name = std::str::from_utf8(name).ok()?;
        self.metadata.get(name).map(String::as_bytes)
    }
}

type Host<'a> = Caller<'a, Call>;

/// The functions above.
pub(super) fn linker(engine: &Engine) -> Result<Linker<Call>, Error> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(
        MODULE,
        "header",
        |host: Host<'_>, name, name_len, into, into_len| {
            look_up(host, (name, name_len), (into, into_len), Call::header)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "metadata",
        |host: Host<'_>, name, name_len, into, into_len| {
            look_up(host, (name, name_len), (into, into_len), Call::metadata)
        },
    )?;
    linker.func_wrap(MODULE, "method", |host: Host<'_>, into, into_len| {
        copy(host, (into, into_len), Value::Method)
    })?;
    linker.func_wrap(MODULE, "path", |host: Host<'_>, into, into_len| {
        copy(host, (into, into_len), Value::Path)
    })?;
    linker.func_wrap(MODULE, "target", target)?;
    Ok(linker)
}

/// A part of a plug-in's memory, by its first byte and its length.
type Part = (u32, u32);

fn look_up(
    mut host: Host<'_>,
    name: Part,
    into: Part,
    find: for<'c> fn(&'c Call, &[u8]) -> Option<&'c [u8]>,
) -> Result<i32, Error> {
    burn(&mut host, name.1.saturating_add(into.1))?;
    let (memory, call) = memory(&mut host)?;
    let name = part(memory, name)?;
    let Some(value) = find(call, name) else {
        return Ok(MISSING);
    };
    fill(memory, into, value)
}

fn copy(mut host: Host<'_>, into: Part, value: Value) -> Result<i32, Error> {
    burn(&mut host, into.1)?;
    let (memory, call) = memory(&mut host)?;
    fill(memory, into, call.value(value))
}

fn target(mut host: Host<'_>, cluster: u32, cluster_len: u32, weight: f64) -> Result<(), Error> {
    burn(&mut host, cluster_len)?;
    let (memory, call) = memory(&mut host)?;
    let name = part(memory, (cluster, cluster_len))?;
    let known = std::str::from_utf8(name)
        .ok()
        .filter(|name| name.len() <= CLUSTER_BYTES_MAX);
    let Some(name) = known else {
        return Err(refused(PluginFailure::Cluster));
    };
    call.cluster.clear();
    call.cluster.push_str(name);
    call.weight = Some(weight);
    Ok(())
}

fn memory<'a>(host: &'a mut Host<'_>) -> Result<(&'a mut [u8], &'a mut Call), Error> {
    match host.data().memory {
        Some(memory) => Ok(memory.data_and_store_mut(host)),
        None => Err(refused(PluginFailure::Internal)),
    }
}

fn range((begin, len): Part, memory: &[u8]) -> Result<std::ops::Range<usize>, Error> {
    let begin = begin as usize;
    match begin.checked_add(len as usize) {
        Some(end) if end <= memory.len() => Ok(begin..end),
        _ => Err(refused(PluginFailure::Pointer)),
    }
}

fn part(memory: &[u8], part: Part) -> Result<&[u8], Error> {
    Ok(&memory[range(part, memory)?])
}

/// Copies as much of a value as there is room for, and tells how long it is.
fn fill(memory: &mut [u8], into: Part, value: &[u8]) -> Result<i32, Error> {
    let room = range(into, memory)?;
    let copied = value.len().min(room.len());
    memory[room.start..room.start + copied].copy_from_slice(&value[..copied]);
    Ok(i32::try_from(value.len()).unwrap_or(i32::MAX))
}

/// Takes the fuel of a call of the host that may touch this many bytes.
fn burn(host: &mut Host<'_>, bytes: u32) -> Result<(), Error> {
    let cost = HOST_FUEL + u64::from(bytes) / BYTES_PER_FUEL as u64;
    match host.get_fuel()?.checked_sub(cost) {
        Some(left) => host.set_fuel(left),
        None => Err(refused(PluginFailure::Fuel)),
    }
}

fn refused(failure: PluginFailure) -> Error {
    Error::host(Refused(failure))
}
