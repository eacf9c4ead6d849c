/** XML on its way out: elements as text, escaped as S3 escapes them. */

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
export const XML_HEADERS: readonly string[] = ['Content-Type', 'application/xml']

/** Characters that need an escape; those below space are none of XML's at all, and S3 gives them as references all the same. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const SPECIAL = /[&<>"\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const SPECIALS = /[&<>"\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/g

/** Text of an element. */
export function escapeXml(text: string): string {
  return SPECIAL.test(text) ? text.replace(SPECIALS, reference) : text
}

function reference(character: string): string {
  switch (character) {
    case '&':
      return '&amp;'
    case '<':
      return '&lt;'
    case '>':
      return '&gt;'
    case '"':
      return '&quot;'
    default:
      return `&#x${character.charCodeAt(0).toString(16)};`
  }
}

/** `<Name>text</Name>`, escaped. */
export function tag(name: string, text: string | number | boolean): string {
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`
}

/** The same, or nothing at all when there is no value. */
export function optionalTag(name: string, text: string | number | boolean | undefined): string {
  return text === undefined ? '' : tag(name, text)
}

/** `<Name>…</Name>` around XML that is finished already. */
export function wrap(name: string, xml: string): string {
  return `<${name}>${xml}</${name}>`
}

/** A whole document whose root has S3's namespace. */
export function xmlDocument(root: string, xml: string): Buffer {
  return Buffer.from(`${XML_DECLARATION}<${root} xmlns="${S3_NAMESPACE}">${xml}</${root}>`)
}

/** A time as S3 writes it in XML. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

const LEFT_IN_URLS = /^[A-Za-z0-9\-._~/*]*$/

/** A key, prefix or delimiter under `encoding-type=url`. */
export function encodeUrl(text: string): string {
  if (LEFT_IN_URLS.test(text)) return text
  return encodeURIComponent(text)
    .replace(/%2F/g, '/')
    .replace(/[!'()]/g, encodeRest)
}

function encodeRest(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
