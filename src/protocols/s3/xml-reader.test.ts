import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { S3Error } from './s3-error.ts'
import { parseXml, type XmlNode } from './xml-reader.ts'
import { encodeUrl, escapeXml } from './xml-writer.ts'

const parse = (text: string | Buffer) => parseXml(Buffer.from(text), 'R')
const isMalformed = (error: unknown) => error instanceof S3Error && error.code === 'MalformedXML'

test('documents as clients send them', () => {
  const text = (xml: string) => parse(xml).string('A')
  assert.equal(text('<R><A>x</A></R>'), 'x')
  assert.equal(
    text('\ufeff<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<R>\n  <A>x</A>\n</R>\n'),
    'x',
  )
  assert.equal(
    text("<?xml version='1.0'?><R xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><A>x</A></R>"),
    'x',
  )
  assert.equal(text('<s:R xmlns:s="urn:any"><s:A>x</s:A></s:R>'), 'x')
  assert.equal(text('<!-- a --><R><!-- b --><A>x<!-- c -->y</A><?pi z?></R><!-- d -->'), 'xy')
  assert.equal(text('<R><A><![CDATA[<b>&amp;]]>&#65;&#x1F600;</A></R>'), '<b>&amp;A😀')
  assert.equal(text('<R><A>&lt;&gt;&amp;&quot;&apos;</A></R>'), `<>&"'`)
  assert.equal(text('<R><A >a\r\nb\rc</A ></R >'), 'a\nb\nc')
  assert.equal(text('<R><A/></R>'), '')
  assert.equal(parse('<R><A  x:type = "t&amp;u" b=\'>\'/></R>').one('A').attribute('type'), 't&u')
  assert.equal(text('<R><A> é\u0085 </A></R>'), ' é\u0085 ')
})

test('what is not well-formed, or more than a document needs', () => {
  const bad = [
    '',
    ' ',
    'R',
    '<R>',
    '</R>',
    '<R></R',
    '<R></S>',
    '<R><A></R></A>',
    '<R/><R/>',
    '<R/>x',
    'x<R/>',
    '<Q/>',
    '<R>x<A/></R>',
    '<R a=b/>',
    '<R a="1" a="2"/>',
    '<R a="<"/>',
    '<R a="1"b="2"/>',
    '<R><A>&nope;</A></R>',
    '<R><A>&amp</A></R>',
    '<R><A>& </A></R>',
    '<R><A>&#xD800;</A></R>',
    '<R><A>&#x110000;</A></R>',
    '<R><A>]]></A></R>',
    '<R><A>\u0000</A></R>',
    '<R><A><![CDATA[x</A></R>',
    '<R><!-- a -- b --></R>',
    '<R><!-- </R>',
    '<R><?pi </R>',
    ' <?xml version="1.0"?><R/>',
    '<?xml version="1.0" encoding="UTF-16"?><R/>',
    '<?xml version="2.0"?><R/>',
    '<?xml?><R/>',
    '<!DOCTYPE R><R/>',
    '<!DOCTYPE R [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><R><A>&b;</A></R>',
    '<R><!DOCTYPE R></R>',
    '<1/>',
    `${'<R>'.repeat(17)}${'</R>'.repeat(17)}`,
    `<R>${'<A/>'.repeat(50_001)}</R>`,
  ]
  for (const text of bad)
    assert.throws(
      () =>
        parse(text)
          .all('A')
          .map((node) => node.leaf()),
      isMalformed,
      text.slice(0, 60),
    )
  assert.throws(() => parse(Buffer.from([0x3c, 0x52, 0x3e, 0xff, 0x3c, 0x2f, 0x52, 0x3e])), isMalformed)
})

test('elements that are repeated, missing, unknown or of another kind', () => {
  assert.throws(() => parse('<R><A/><A/></R>').one('A'), isMalformed)
  assert.throws(() => parse('<R/>').one('A'), isMalformed)
  assert.throws(() => parse('<R><A><B/></A></R>').string('A'), isMalformed)
  assert.throws(() => parse('<R><A>1.5</A></R>').maybeCount('A'), isMalformed)
  assert.throws(() => parse('<R><A>yes</A></R>').maybeBoolean('A'), isMalformed)
  assert.throws(() => parse('<R><A>x</A></R>').word('A', ['y']), isMalformed)
  const root = parse('<R><A>1</A><B>2</B></R>')
  assert.equal(root.maybeCount('A'), 1)
  assert.throws(() => root.done(), isMalformed)
  assert.equal(root.string('B'), '2')
  root.done()
})

test('a deep or broad document costs no more than its length', () => {
  const bomb = `<R>${'<A>'.repeat(200_000)}`
  assert.throws(() => parse(bomb), isMalformed)
  assert.throws(() => parse(`<R ${'a '.repeat(100_000)}`), isMalformed)
  assert.throws(() => parse(`<R>${'&'.repeat(500_000)}</R>`), isMalformed)
  assert.throws(() => parse(`<R>${'<!--'.repeat(100_000)}</R>`), isMalformed)
})

test('any bytes end in a tree or in MalformedXML', () => {
  const seed = 20261121
  const random = seededRandom(seed)
  const words = [
    '<',
    '>',
    '</',
    '/>',
    'R',
    'A',
    '<R>',
    '</R>',
    '<A>',
    '</A>',
    '&',
    ';',
    '&#',
    'x41;',
    '"',
    "'",
    '=',
    ' ',
  ]
  words.push(
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?',
    '?>',
    '<?xml version="1.0"?>',
    '\u0001',
    'é',
    '\n',
    '<!DOCTYPE',
  )
  for (let round = 0; round < 3000; round++) {
    let text = '<R>'
    for (let i = random.below(12); i > 0; i--) text += words[random.below(words.length)]
    if (random.below(2) === 0) text += '</R>'
    let root: XmlNode
    try {
      root = parse(text)
    } catch (error) {
      assert.ok(isMalformed(error), `${text}: ${error} (seed ${seed})`)
      continue
    }
    assert.equal(root.name, 'R')
  }
})

test('what is written is read again', () => {
  const text = `a<b>&"c'é😀 ]]> \t\n`
  assert.equal(parse(`<R><A>${escapeXml(text)}</A></R>`).string('A'), text)
  assert.equal(escapeXml('\u0001\r'), '&#x1;&#xd;')
  assert.equal(encodeUrl("a b/c+d'(é)*~!"), 'a%20b/c%2Bd%27%28%C3%A9%29*~%21')
})
