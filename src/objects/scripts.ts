/** All scripts of the object layer: the writing thread of SQLite finds them by their names. */
import type { AnyScript } from '../meta/run-steps.ts'
import {
  bucketUsage,
  changeBucket,
  createBucket,
  deleteBucket,
  findBucket,
  listBuckets,
} from './bucket-steps.ts'
import { setAttributes, setLock, setTags } from './change-version.ts'
import { CHECK_SCRIPTS } from './check-store.ts'
import { GARBAGE_SCRIPTS } from './collector.ts'
import { leaveBlobs } from './content/garbage-scripts.ts'
import { CONTENTS_SCRIPTS } from './contents.ts'
import { copyVersion } from './copy-version.ts'
import { deleteVersion } from './delete-version.ts'
import { findVersion } from './find-steps.ts'
import { listObjects, listVersions } from './list-steps.ts'
import { ORPHAN_SCRIPTS } from './orphans.ts'
import { putObject } from './put-version.ts'
import { TREE_SCRIPTS } from './tree.ts'
import { UPLOAD_SCRIPTS } from './uploads.ts'

export const OBJECT_SCRIPTS: readonly AnyScript[] = [
  createBucket,
  findBucket,
  listBuckets,
  changeBucket,
  deleteBucket,
  bucketUsage,
  putObject,
  findVersion,
  deleteVersion,
  copyVersion,
  setTags,
  setAttributes,
  setLock,
  listObjects,
  listVersions,
  ...TREE_SCRIPTS,
  ...UPLOAD_SCRIPTS,
  ...CONTENTS_SCRIPTS,
  leaveBlobs,
  ...GARBAGE_SCRIPTS,
  ...ORPHAN_SCRIPTS,
  ...CHECK_SCRIPTS,
]
