/** `offset=`: bytes in the middle of a file, or behind it. The file is written anew, with what lies around them. */
import { createHash } from 'node:crypto'
import { StoreError } from '../../../base/errors.ts'
import { checkWrite } from '../../../objects/conditions.ts'
import type {
  FoundObject,
  ObjectAttributes,
  ObjectBody,
  ObjectInfo,
  PutObject,
} from '../../../objects/object-store.ts'
import { lastingPlacement } from '../../../objects/tree-life.ts'
import type { FilerContext } from './context.ts'
import { readPieces } from './read-pieces.ts'

/** Zeros fill what lies between the end of the file and `offset`: it is stored, so it has a bound. */
const GAP_BYTES_MAX = 1024 * 1024 * 1024
const ZEROS = Buffer.alloc(256 * 1024)

/** Throws `bad_request` far behind the end of the file, `precondition_failed` also when it changes meanwhile. */
export async function writeAtOffset(context: FilerContext, put: PutObject, offset: number): Promise<void> {
  const found = await foundOrNone(context, put)
  const sizeBytes = found?.info.sizeBytes ?? 0
  if (offset - sizeBytes > GAP_BYTES_MAX)
    throw new StoreError('bad_request', `offset ${offset} is far behind the end of the file, ${sizeBytes}`)
  if (found === undefined) {
    const { check: _, ...rest } = put
    const whole = offset === 0 ? put : { ...rest, body: mixed(undefined, put, offset) }
    await context.objects.put({ ...whole, conditions: { ...put.conditions, ifNoneMatch: '*' } })
    return
  }
  const { info } = found
  checkWrite(put.conditions, { etag: info.etag, size: info.sizeBytes, modified_ms: info.modifiedMs })
  // What is stored lies around what was read, so that must be there still, whatever else the client's conditions let pass.
  const conditions = { ifMatch: [info.etag] }
  if (offset === sizeBytes) {
    await context.objects.append({ ...put, conditions })
    return
  }
  const { check: _, ...rest } = put
  const [attributes, placement] = [attributesOf(put, info), lastingPlacement(put.placement)]
  const body = mixed(found, put, offset)
  // What was encrypted stays so, whatever the bucket says now.
  const protection =
    info.attributes.encryption === undefined ? {} : { encryption: { managed: true } as const }
  await context.objects.put({ ...rest, ...protection, conditions, attributes, placement, body })
}

/** Those of the file, and what the request sets of them; but it lives as long as before. */
function attributesOf(put: PutObject, info: ObjectInfo): ObjectAttributes {
  const { checksum: _, partSizes: __, partChecksums: ___, encryption: ____, ...kept } = info.attributes
  const { posix, ...given } = put.attributes
  const mode = posix?.mode
  return { ...kept, ...given, ...(mode === undefined ? {} : { posix: { ...kept.posix, mode } }) }
}

async function foundOrNone({ objects }: FilerContext, put: PutObject): Promise<FoundObject | undefined> {
  try {
    const found = await objects.find(put.bucket, put.key)
    return found.info.isDeleteMarker ? undefined : found
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not_found') return undefined
    throw error
  }
}

/** What was there before `offset`, zeros where there was nothing, the new bytes, and what was there behind them. */
function mixed(found: FoundObject | undefined, { body, check }: PutObject, offset: number): ObjectBody {
  const sizeBytes = found?.info.sizeBytes ?? 0
  const md5 = createHash('md5')
  return {
    sizeBytes: body.sizeBytes === undefined ? undefined : Math.max(sizeBytes, offset + body.sizeBytes),
    async *pieces() {
      if (found !== undefined) yield* readPieces(found, 0, Math.min(offset, sizeBytes))
      yield* zeros(offset - sizeBytes)
      let end = offset
      for await (const piece of body.pieces()) {
        end += piece.length
        md5.update(piece)
        yield piece
      }
      // The check is of what the client sent, not of the whole file.
      check?.verify({ md5: md5.digest() }, end - offset)
      if (found !== undefined) yield* readPieces(found, end, sizeBytes)
    },
  }
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left)
}
