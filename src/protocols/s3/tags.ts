/** Tags of buckets and objects: their documents, their header, and what they may be. */
import { TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX } from '../../base/limits.ts'
import type { Tag } from '../../objects/object-store.ts'
import { S3Error } from './s3-error.ts'
import { decodeUri } from './s3-request.ts'
import type { XmlNode } from './xml-reader.ts'
import { tag, wrap } from './xml-writer.ts'

export const BUCKET_TAGS_MAX = 50

export interface TagRules {
  countMax: number
  /** `Object` or `Bucket`. */
  of: 'Object' | 'Bucket'
}

/** Letters of any script, digits, spaces, and a few marks. */
const TEXT = /^[\p{L}\p{M}\p{Z}\p{N}_.:/=+\-@]*$/u

/** The tags of a `<Tagging>`. Throws MalformedXML, InvalidTag, BadRequest. */
export function parseTagging(root: XmlNode, rules: TagRules): Tag[] {
  const set = root.one('TagSet')
  root.done()
  return parseTagSet(set, rules)
}

/** The tags of an element that holds `<Tag>`s. */
export function parseTagSet(set: XmlNode, rules: TagRules): Tag[] {
  const tags = set.all('Tag').map((node): Tag => {
    const pair: Tag = [node.string('Key'), node.string('Value')]
    node.done()
    return pair
  })
  set.done()
  return checkTags(tags, rules)
}

/** The tags of an `x-amz-tagging` header: `a=1&b=2`, percent-encoded. */
export function parseTagHeader(text: string, rules: TagRules): Tag[] {
  const tags: Tag[] = []
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    const key = decodeHeader(name)
    if (key === '' || tags.some(([each]) => each === key)) throw badHeader(text)
    tags.push([key, equals < 0 ? '' : decodeHeader(pair.slice(equals + 1))])
  }
  return checkTags(tags, rules)
}

function decodeHeader(text: string): string {
  try {
    return decodeUri(text.replaceAll('+', ' '))
  } catch (cause) {
    throw badHeader(text, cause)
  }
}

function badHeader(text: string, cause?: unknown): S3Error {
  return new S3Error(
    'InvalidArgument',
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    { extra: { ArgumentName: 'x-amz-tagging', ArgumentValue: text }, cause },
  )
}

function checkTags(tags: Tag[], { countMax, of }: TagRules): Tag[] {
  if (tags.length > countMax) {
    const what = of === 'Object' ? 'Object tags' : 'Bucket tag count'
    throw new S3Error('BadRequest', `${what} cannot be greater than ${countMax}`, { extra: {} })
  }
  const seen = new Set<string>()
  for (const [key, value] of tags) {
    if (key === '' || key.length > TAG_KEY_CHARS_MAX || !TEXT.test(key))
      throw invalidTag('The TagKey you have provided is invalid', key)
    if (value.length > TAG_VALUE_CHARS_MAX || !TEXT.test(value))
      throw invalidTag('The TagValue you have provided is invalid', key, value)
    if (key.toLowerCase().startsWith('aws:'))
      throw invalidTag('System tags cannot be added/updated by requester', key)
    if (seen.has(key)) throw invalidTag('Cannot provide multiple Tags with the same key', key)
    seen.add(key)
  }
  return tags
}

function invalidTag(message: string, key: string, value?: string): S3Error {
  const extra: Record<string, string> = { TagKey: key }
  if (value !== undefined) extra.TagValue = value
  return new S3Error('InvalidTag', message, { extra })
}

/** What is inside a `<Tagging>`. */
export function renderTagging(tags: readonly Tag[]): string {
  const list = tags.map(([key, value]) => wrap('Tag', tag('Key', key) + tag('Value', value)))
  return wrap('TagSet', list.join(''))
}
