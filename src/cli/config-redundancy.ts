/** Settings of how bytes are protected: a part of the table in `config.ts`. */
import { REDUNDANCIES } from '../base/redundancy.ts'
import { choice, list } from './setting.ts'

const LAYOUT = `(${REDUNDANCIES.join('|')})`
const LAYOUTS_TEXT = REDUNDANCIES.join(', ')

export const REDUNDANCY_SETTINGS = {
  redundancy: choice(REDUNDANCIES, {
    doc:
      'How the bytes of objects are stored, where nothing else says it. `none`: once. `rs-4-2`: in four shards and two more, each on ' +
      'a directory or server of its own, of which any two may be lost. `rs-2-1`: two and one more.',
    fallback: 'none',
  }),
  bucketRedundancy: list({
    doc: `The redundancy of single buckets, instead of \`--redundancy\`: ${LAYOUTS_TEXT}.`,
    fallback: [],
    placeholder: 'BUCKET=LAYOUT,…',
    pattern: new RegExp(`^[^=\\s]+=${LAYOUT}$`),
    expected: 'BUCKET=LAYOUT',
  }),
  storageClass: list({
    doc:
      `The redundancy that storage classes of S3 stand for: ${LAYOUTS_TEXT}; for example \`STANDARD_IA=rs-4-2\`. ` +
      'It comes before that of the bucket; `STANDARD` after it.',
    fallback: [],
    placeholder: 'CLASS=LAYOUT,…',
    pattern: new RegExp(`^[A-Z_]+=${LAYOUT}$`),
    expected: 'CLASS=LAYOUT',
  }),
} as const
