/**
 * XML on its way in: a strict reader for the small documents that S3 clients send. A general parser brings document types,
 * entities and leniency, none of which a store wants to see from strangers: here a DOCTYPE is refused, the five names
 * of XML itself are the only entities, and depth, elements and text are bounded. Mixed content, repeated and unknown
 * elements are refused by whoever reads the tree (`XmlNode.done`).
 */
import { isUtf8 } from 'node:buffer'
import { S3Error, type S3ErrorCode } from './s3-error.ts'

const DEPTH_MAX = 16
const ELEMENTS_MAX = 50_000
const ATTRIBUTES_MAX = 16

/** An element. Children are taken by name, and `done` refuses what nobody took. */
export class XmlNode {
  /** Without prefix. */
  readonly name: string
  /** Local name, value, … Namespace declarations are left out. */
  readonly attributes: readonly string[]
  readonly children: XmlNode[] = []
  /** Of the element itself, references resolved. Between children there is only space, which is dropped. */
  text = ''
  #taken = 0
  readonly #fault: S3ErrorCode

  constructor(name: string, attributes: readonly string[], fault: S3ErrorCode) {
    this.name = name
    this.attributes = attributes
    this.#fault = fault
  }

  /** The one child of that name, or undefined. Throws when there are several. */
  maybe(name: string): XmlNode | undefined {
    const found = this.all(name)
    if (found.length > 1) throw this.malformed()
    return found[0]
  }

  /** The one child of that name. */
  one(name: string): XmlNode {
    const found = this.maybe(name)
    if (found === undefined) throw this.malformed()
    return found
  }

  /** Children of that name, in order. */
  all(name: string): XmlNode[] {
    const found = this.children.filter((child) => child.name === name)
    this.#taken += found.length
    return found
  }

  /** Text of the one child of that name. */
  string(name: string): string {
    return this.one(name).leaf()
  }

  maybeString(name: string): string | undefined {
    return this.maybe(name)?.leaf()
  }

  /** A whole number, not negative, of the one child of that name. */
  maybeCount(name: string): number | undefined {
    const text = this.maybeString(name)?.trim()
    if (text === undefined) return undefined
    if (!/^[0-9]{1,15}$/.test(text)) throw this.malformed()
    return Number(text)
  }

  /** The same, also negative. */
  maybeInteger(name: string): number | undefined {
    const text = this.maybeString(name)?.trim()
    if (text === undefined) return undefined
    if (!/^[+-]?[0-9]{1,15}$/.test(text)) throw this.malformed()
    return Number(text)
  }

  maybeBoolean(name: string): boolean | undefined {
    const text = this.maybeString(name)?.trim()
    if (text === undefined) return undefined
    if (text !== 'true' && text !== 'false' && text !== 'TRUE' && text !== 'FALSE') throw this.malformed()
    return text === 'true' || text === 'TRUE'
  }

  /** One of the words given. */
  maybeWord<W extends string>(name: string, words: readonly W[]): W | undefined {
    const text = this.maybeString(name)?.trim()
    if (text === undefined) return undefined
    if (!(words as readonly string[]).includes(text)) throw this.malformed()
    return text as W
  }

  word<W extends string>(name: string, words: readonly W[]): W {
    const found = this.maybeWord(name, words)
    if (found === undefined) throw this.malformed()
    return found
  }

  /** The element's own text; throws when it has elements. */
  leaf(): string {
    if (this.children.length > 0) throw this.malformed()
    return this.text
  }

  attribute(name: string): string | undefined {
    for (let i = 0; i < this.attributes.length; i += 2) {
      if (this.attributes[i] === name) return this.attributes[i + 1]
    }
    return undefined
  }

  /** Throws when a child was asked for by nobody. Call it when all have been asked for, once. */
  done(): void {
    if (this.#taken !== this.children.length) throw this.malformed()
  }

  malformed(): S3Error {
    return new S3Error(this.#fault)
  }
}

/** The root of a document, which must have that name. `fault`: the code of the error for one that is malformed. */
export function parseXml(bytes: Buffer, root: string, fault: S3ErrorCode = 'MalformedXML'): XmlNode {
  if (!isUtf8(bytes)) throw new S3Error(fault)
  const node = new Parser(bytes.toString('utf8'), fault).document()
  if (node.name !== root) throw new S3Error(fault)
  return node
}

const NAME = /[A-Za-z_\u00c0-\uffff][\w.:\u00b7-\uffff-]*/y
const SPACE = /[ \t\r\n]*/y
const REFERENCES = /&([^;&]{0,10});?/g
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
])

class Parser {
  readonly #text: string
  readonly #fault: S3ErrorCode
  #at = 0
  #elements = 0

  constructor(text: string, fault: S3ErrorCode) {
    this.#text = text.startsWith('\ufeff') ? text.slice(1) : text
    this.#fault = fault
  }

  document(): XmlNode {
    if (this.#text.startsWith('<?xml')) this.#declaration()
    this.#skipMisc()
    const { node, isEmpty } = this.#startTag()
    if (!isEmpty) this.#content(node)
    this.#skipMisc()
    if (this.#at !== this.#text.length) throw this.#malformed()
    return node
  }

  #declaration(): void {
    const end = this.#text.indexOf('?>')
    const declaration =
      /^<\?xml\s+version\s*=\s*["']1\.[01]["'](?:\s+encoding\s*=\s*["']([\w.-]+)["'])?(?:\s+standalone\s*=\s*["'](?:yes|no)["'])?\s*$/.exec(
        this.#text.slice(0, Math.max(0, end)),
      )
    const encoding = declaration?.[1]?.toLowerCase() ?? 'utf-8'
    if (declaration === null || !['utf-8', 'utf8', 'us-ascii', 'ascii'].includes(encoding))
      throw this.#malformed()
    this.#at = end + 2
  }

  /** Space, comments and processing instructions. */
  #skipMisc(): void {
    for (;;) {
      this.#skip(SPACE)
      if (!this.#skipAside()) return
    }
  }

  #skipAside(): boolean {
    const text = this.#text
    if (text.startsWith('<!--', this.#at)) {
      const end = text.indexOf('--', this.#at + 4)
      if (end < 0 || text[end + 2] !== '>') throw this.#malformed()
      this.#at = end + 3
      return true
    }
    if (text.startsWith('<?', this.#at)) {
      const end = text.indexOf('?>', this.#at)
      if (end < 0 || /^<\?xml[\s?]/i.test(text.slice(this.#at, this.#at + 6))) throw this.#malformed()
      this.#at = end + 2
      return true
    }
    return false
  }

  /** All inside of `root`, up to its end tag, without recursion. */
  #content(root: XmlNode): void {
    const open = [root]
    const names = [this.#lastName]
    const pieces: string[][] = [[]]
    while (open.length > 0) {
      const node = open.at(-1)!
      const next = this.#text.indexOf('<', this.#at)
      if (next < 0) throw this.#malformed()
      if (next > this.#at) pieces.at(-1)!.push(this.#resolve(this.#text.slice(this.#at, next)))
      this.#at = next
      if (this.#skipAside()) continue
      if (this.#text.startsWith('<![CDATA[', next)) {
        pieces.at(-1)!.push(this.#cdata())
      } else if (this.#text.startsWith('</', next)) {
        this.#endTag(names.pop()!)
        finish(node, pieces.pop()!.join(''), this.#fault)
        open.pop()
      } else {
        const started = this.#startTag()
        node.children.push(started.node)
        if (started.isEmpty) continue
        if (open.length >= DEPTH_MAX) throw this.#malformed()
        open.push(started.node)
        names.push(this.#lastName)
        pieces.push([])
      }
    }
  }

  #cdata(): string {
    const start = this.#at + '<![CDATA['.length
    const end = this.#text.indexOf(']]>', start)
    if (end < 0) throw this.#malformed()
    this.#at = end + 3
    return this.#checked(this.#text.slice(start, end))
  }

  /** With prefix, of the tag that was read last. */
  #lastName = ''

  #startTag(): { node: XmlNode; isEmpty: boolean } {
    if (this.#text[this.#at] !== '<' || ++this.#elements > ELEMENTS_MAX) throw this.#malformed()
    this.#at++
    const name = this.#name()
    const attributes = this.#attributes()
    const isEmpty = this.#text[this.#at] === '/'
    if (isEmpty) this.#at++
    if (this.#text[this.#at] !== '>') throw this.#malformed()
    this.#at++
    this.#lastName = name
    return { node: new XmlNode(localName(name), attributes, this.#fault), isEmpty }
  }

  #attributes(): string[] {
    const attributes: string[] = []
    const seen = new Set<string>()
    for (;;) {
      const spaces = this.#skip(SPACE)
      const next = this.#text[this.#at]
      if (next === '>' || next === '/' || next === undefined) return attributes
      if (spaces === 0 || seen.size >= ATTRIBUTES_MAX) throw this.#malformed()
      const name = this.#name()
      this.#skip(SPACE)
      if (this.#text[this.#at] !== '=') throw this.#malformed()
      this.#at++
      this.#skip(SPACE)
      const value = this.#quoted()
      if (seen.has(name)) throw this.#malformed()
      seen.add(name)
      if (name !== 'xmlns' && !name.startsWith('xmlns:')) attributes.push(localName(name), value)
    }
  }

  #quoted(): string {
    const quote = this.#text[this.#at]
    if (quote !== '"' && quote !== "'") throw this.#malformed()
    const end = this.#text.indexOf(quote, this.#at + 1)
    if (end < 0) throw this.#malformed()
    const value = this.#text.slice(this.#at + 1, end)
    if (value.includes('<')) throw this.#malformed()
    this.#at = end + 1
    return this.#resolve(value)
  }

  #endTag(name: string): void {
    this.#at += 2
    if (this.#name() !== name) throw this.#malformed()
    this.#skip(SPACE)
    if (this.#text[this.#at] !== '>') throw this.#malformed()
    this.#at++
  }

  #name(): string {
    NAME.lastIndex = this.#at
    const match = NAME.exec(this.#text)
    if (match === null) throw this.#malformed()
    this.#at += match[0].length
    return match[0]
  }

  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    const length = pattern.exec(this.#text)![0].length
    this.#at += length
    return length
  }

  #resolve(text: string): string {
    const checked = this.#checked(text)
    if (checked.includes(']]>')) throw this.#malformed()
    if (!checked.includes('&')) return checked
    return checked.replace(REFERENCES, (whole, name: string) => {
      const known = ENTITIES.get(name)
      if (known !== undefined && whole.endsWith(';')) return known
      const code = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
      const point = code === null || !whole.endsWith(';') ? -1 : numberOf(code)
      if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw this.#malformed()
      return String.fromCodePoint(point)
    })
  }

  /** Line breaks as XML wants them; control characters are no text. */
  #checked(text: string): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) throw this.#malformed()
    return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  }

  #malformed(): S3Error {
    return new S3Error(this.#fault)
  }
}

function numberOf(code: RegExpExecArray): number {
  return code[1] === undefined ? Number(code[2]) : Number.parseInt(code[1], 16)
}

function localName(name: string): string {
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(colon + 1)
}

/** Text beside elements may only be space. */
function finish(node: XmlNode, text: string, fault: S3ErrorCode): void {
  if (node.children.length === 0) node.text = text
  else if (text.trim() !== '') throw new S3Error(fault)
}
