/**
 * The first schema: buckets, objects, versions, contents, uploads, and what the collector needs.
 * `docs/formats/metadata.md` explains the columns. Words in braces differ between the engines; `schema-text.ts` has them.
 */
export const names = {
  version: 1,
  name: 'names',
  statements: [
    `create table bucket (
      bucket_id {int} not null primary key,
      name {text} not null unique,
      owner {text} not null,
      created_ms {int} not null,
      versioning {int} not null,
      object_lock {int} not null,
      quota_bytes {int} not null,
      moves {int} not null,
      revision {int} not null
    ){clustered}`,
    'create index bucket_owner on bucket (owner, name)',
    `create table bucket_config (
      bucket_id {int} not null,
      kind {text} not null,
      value {text} not null,
      primary key (bucket_id, kind)
    ){clustered}`,
    `create table bucket_usage (
      bucket_id {int} not null,
      part {int} not null,
      objects {int} not null,
      bytes {int} not null,
      primary key (bucket_id, part)
    ){clustered}`,
    `create table object (
      bucket_id {int} not null,
      key {bytes} not null,
      rank {int} not null,
      flags {int} not null,
      size {int} not null,
      modified_ms {int} not null,
      etag {text} not null,
      content_id {bytes},
      blobs {bytes},
      attributes {text} not null,
      tags {text},
      lock_until_ms {int} not null,
      primary key (bucket_id, key)
    ){clustered}`,
    `create table version (
      bucket_id {int} not null,
      key {bytes} not null,
      rank {int} not null,
      flags {int} not null,
      size {int} not null,
      modified_ms {int} not null,
      etag {text} not null,
      content_id {bytes},
      blobs {bytes},
      attributes {text} not null,
      tags {text},
      lock_until_ms {int} not null,
      primary key (bucket_id, key, rank)
    ){clustered}`,
    'create unique index version_null on version (bucket_id, key) where (flags & 1) = 1',
    `create table content (
      content_id {bytes} not null primary key,
      bucket_id {int} not null,
      refs {int} not null,
      size {int} not null,
      kind {int} not null,
      sha256 {bytes}
    ){clustered}`,
    'create unique index content_sha256 on content (bucket_id, sha256) where sha256 is not null',
    `create table content_page (
      content_id {bytes} not null,
      page {int} not null,
      entries {bytes} not null,
      primary key (content_id, page)
    ){clustered}`,
    `create table upload (
      bucket_id {int} not null,
      key {bytes} not null,
      upload_id {bytes} not null,
      created_ms {int} not null,
      attributes {text} not null,
      tags {text},
      lock_until_ms {int} not null,
      flags {int} not null,
      primary key (bucket_id, key, upload_id)
    ){clustered}`,
    `create table part (
      upload_id {bytes} not null,
      number {int} not null,
      size {int} not null,
      modified_ms {int} not null,
      etag {text} not null,
      checksums {text} not null,
      content_id {bytes} not null,
      primary key (upload_id, number)
    ){clustered}`,
    `create table garbage (
      due_ms {int} not null,
      nonce {bytes} not null,
      blobs {bytes},
      content_id {bytes},
      primary key (due_ms, nonce)
    ){clustered}`,
    `create table move (
      bucket_id {int} not null,
      from_prefix {bytes} not null,
      to_prefix {bytes} not null,
      cursor {bytes} not null,
      started_ms {int} not null,
      primary key (bucket_id, from_prefix)
    ){clustered}`,
    `create table outbox (
      event_id {bytes} not null primary key,
      bucket_id {int} not null,
      payload {text} not null
    ){clustered}`,
    `create table writer (
      node_id {text} not null primary key,
      started_ms {int} not null,
      seen_ms {int} not null
    ){clustered}`,
    `create table swept (
      volume_id {int} not null primary key,
      entries {int} not null,
      revision {int} not null
    ){clustered}`,
    `create table setting (
      name {text} not null primary key,
      value {text} not null
    ){clustered}`,
  ],
} as const
