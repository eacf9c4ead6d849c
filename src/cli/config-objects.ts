/** Settings of objects with versions: their door and its commands. */
import { choice, flag, integer } from './setting.ts'

/** Where the door listens, and where its commands ask. */
const OBJECTS_PORT = 12_345
export const OBJECTS_PORTS = {
  objects: OBJECTS_PORT,
  'objects prune': OBJECTS_PORT,
  'objects verify': OBJECTS_PORT,
  'objects orphans': OBJECTS_PORT,
}

export const OBJECTS_SETTINGS = {
  objectsPort: integer({
    doc: 'Port of objects with versions. It asks nobody for a password, so it listens on 127.0.0.1 unless `--listen` names it.',
    fallback: OBJECTS_PORT,
    min: 0,
    max: 65_535,
    placeholder: 'PORT',
  }),
  digest: choice(['required', 'optional'], {
    doc: 'Whether a PUT of an object with versions must carry a Digest of its bytes. One that is there is checked in any case.',
    fallback: 'required',
  }),
  keep: integer({
    doc: 'Versions of each object that stay: the latest ones.',
    fallback: 5,
    min: 1,
    max: 1_000_000_000,
  }),
  dryRun: flag({ doc: 'Only say what would be done.', fallback: false }),
} as const
