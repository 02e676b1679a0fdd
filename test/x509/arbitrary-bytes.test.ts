import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isClientCertError } from '../../src/errors.js'
import { createTestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  attribute,
  bitString,
  boolean,
  CN,
  certificateDer,
  context,
  extension,
  integer,
  name,
  nothing,
  octetString,
  oid,
  primitive,
  seq,
  text,
  tlv,
  utf8,
  utf16,
} from '../support/der-builder.js'

/** Time-boxed: on a slow machine fewer runs are made, never none, and a run that fails is never excused. */
const box = (numRuns: number) => ({ numRuns, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false })

/** Reads a certificate and everything it can be asked; true where it is one. */
function survives(der: Uint8Array): boolean {
  let given: Certificate
  try {
    given = Certificate.parse(der)
  } catch (error) {
    if (isClientCertError(error) && error.code === 'ERR_CLIENT_CERT_MALFORMED') {
      if (error.help.length > 600) throw new Error('the refusal repeats what the peer wrote')
      return false
    }
    throw error
  }
  // A certificate that is read has one encoding: what came.
  if (Buffer.compare(given.der, der) !== 0) throw new Error('not the octets that came')
  if (/\p{Cs}/u.test(given.subject.toString()) || given.fingerprint.length !== 64) throw new Error('not well-formed')
  if (given.isSelfIssued !== (given.subject.comparisonKey === given.issuer.comparisonKey))
    throw new Error('self-issued')
  if (given.notAfter < given.notBefore || Number.isNaN(given.notBefore)) throw new Error('validity')
  if (new Set(given.extensionList.map((item) => item.oid)).size !== given.extensionList.length) throw new Error('twice')
  return true
}

// A tree of elements, so that a mutation can be made deep inside and every length around it stay right ------------------

interface Element {
  tag: number
  contents: Uint8Array | Element[]
}

/** Contents that are themselves elements are split too: extnValue, and the BIT STRING of a key. */
function treeOf(der: Uint8Array): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < der.length; ) {
    const tag = der[at] as number
    const first = der[at + 1] as number
    const wide = first >= 0x80 ? first & 0x7f : 0
    let length = wide === 0 ? first : 0
    for (let i = 0; i < wide; i++) length = length * 256 + (der[at + 2 + i] as number)
    const start = at + 2 + wide
    if (first === undefined || wide > 3 || start + length > der.length) throw new RangeError('not elements')
    const contents = der.subarray(start, start + length)
    elements.push({ tag, contents: (tag & 0x20) !== 0 ? treeOf(contents) : tag === 4 ? inside(contents) : contents })
    at = start + length
  }
  return elements
}

function inside(contents: Uint8Array): Uint8Array | Element[] {
  try {
    return treeOf(contents)
  } catch {
    return contents
  }
}

const encode = (elements: readonly Element[]): Uint8Array => Uint8Array.from(Buffer.concat(elements.map(encodeOne)))
const encodeOne = ({ tag, contents }: Element) => tlv(tag, Array.isArray(contents) ? encode(contents) : contents)

/** Every list of siblings, the outermost first. */
function listsOf(elements: Element[]): Element[][] {
  return [elements, ...elements.flatMap(({ contents }) => (Array.isArray(contents) ? listsOf(contents) : []))]
}

type Mutation = { kind: number; list: number; at: number; other: number; octets: Uint8Array }
const tags = [
  1, 2, 3, 4, 5, 6, 0x0a, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1c, 0x1e, 0x1f, 0x24, 0x30, 0x31, 0x80, 0x81,
  0x82, 0x84, 0x86, 0x87, 0x88, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xff,
]

function mutate(tree: Element[], { kind, list, at, other, octets }: Mutation): void {
  const lists = listsOf(tree).filter(({ length }) => length > 0)
  if (lists.length === 0) return
  const siblings = lists[list % lists.length] as Element[]
  const all = lists.flat()
  const index = at % siblings.length
  const element = siblings[index] as Element
  const borrowed = structuredClone(all[other % all.length] as Element)
  switch (kind) {
    case 0:
      element.tag = tags[other % tags.length] as number
      break
    case 1:
      siblings.splice(index, 1)
      break
    case 2:
      siblings.splice(index, 0, structuredClone(element))
      break
    case 3:
      siblings.splice(index, 1, siblings[other % siblings.length] as Element)
      break
    case 4:
      siblings[index] = borrowed
      break
    case 5:
      siblings.splice(index, 0, borrowed)
      break
    case 6:
      element.contents = octets
      break
    case 7:
      siblings[index] = { tag: tags[other % tags.length] as number, contents: [structuredClone(element)] }
      break
    default:
      if (!Array.isArray(element.contents)) {
        const copy = Uint8Array.from(element.contents)
        if (copy.length > 0) copy[other % copy.length] = octets[0] ?? 0
        element.contents = octets.length % 3 === 0 ? Uint8Array.from(Buffer.concat([copy, octets])) : copy
      }
  }
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.nat(9),
  list: fc.nat(1000),
  at: fc.nat(30),
  other: fc.nat(1000),
  octets: fc.oneof(
    fc.uint8Array({ maxLength: 5 }),
    fc.constantFrom(Uint8Array.of(0x80), Uint8Array.of(0), Uint8Array.of(0xff, 0xff), new Uint8Array(200)),
  ),
})

/** One certificate with every extension and every form of name. */
function everything(): Uint8Array {
  const dns = primitive(2, Buffer.from('a.example'))
  const uri = primitive(6, Buffer.from('http://c.example/x'))
  const directory = context(4, name([attribute(CN, utf8('ä'))], [attribute(CN, text(0x1e, utf16('愛')))]))
  const others = [
    context(0, oid(known.userPrincipalName), context(0, utf8('a@b'))),
    context(0, oid(known.smtpUtf8Mailbox), context(0, utf8('ä@b'))),
    context(0, oid('1.2.3'), context(0, seq(seq()))),
  ]
  const names = [
    primitive(1, Buffer.from('a@b.example')),
    dns,
    uri,
    directory,
    primitive(7, [1, 2, 3, 4]),
    primitive(8, [0x2a, 3]),
    context(3, seq()),
    context(5, context(1, utf8('p'))),
    ...others,
  ]
  const point = seq(
    seq(context(0, context(0, uri)), primitive(1, [6, 0x40]), context(2, directory)),
    seq(context(0, context(1, attribute(CN, utf8('p'))))),
  )
  const values: [keyof typeof known, Uint8Array][] = [
    ['authorityKeyIdentifier', seq(primitive(0, [1]), context(1, directory), primitive(2, [5]))],
    ['subjectKeyIdentifier', octetString([1, 2])],
    ['keyUsage', bitString(1, [0x06])],
    ['certificatePolicies', seq(seq(oid('1.2.3.4'), seq(seq(oid('1.3.6.1.5.5.7.2.1'), text(0x16, 'http://x')))))],
    ['policyMappings', seq(seq(oid('1.2.3'), oid('1.2.4')))],
    ['policyConstraints', seq(primitive(0, [1]), primitive(1, [0]))],
    ['inhibitAnyPolicy', integer(3)],
    ['subjectAltName', seq(...names)],
    ['issuerAltName', seq(dns)],
    ['basicConstraints', seq(boolean(0xff), integer(2))],
    [
      'nameConstraints',
      seq(
        context(0, seq(dns), seq(primitive(7, new Uint8Array(8)))),
        context(1, seq(directory, primitive(0, [0]), primitive(1, [1]))),
      ),
    ],
    ['extKeyUsage', seq(oid(known.clientAuth))],
    ['cRLDistributionPoints', point],
    ['freshestCRL', point],
    ['authorityInfoAccess', seq(seq(oid('1.3.6.1.5.5.7.48.1'), uri))],
    ['subjectInfoAccess', seq(seq(oid('1.3.6.1.5.5.7.48.5'), directory))],
    ['noRevAvail', nothing()],
  ]
  const extensions = values.map(([extensionName, value]) => extension(known[extensionName], value))
  return certificateDer({
    extensions,
    issuer: name([attribute(CN, text(0x13, 'a')), attribute('2.5.4.10', text(0x14, [0xe9]))]),
  })
}

let corpus: Uint8Array[]
beforeAll(async () => {
  const pki = await createTestPki()
  const certificates = [
    pki.root.certificate,
    pki.intermediate.certificate,
    (await pki.issue({ subject: 'CN=ä+OU=b,O=c', names: { upn: ['a'], ip: ['::1'], dns: ['a'] } })).certificate,
  ]
  for (const keyAlgorithm of ['RSA-2048', 'RSA-PSS-2048', 'Ed25519', 'P-521'] as const)
    certificates.push((await pki.issue({ keyAlgorithm })).certificate)
  corpus = [...certificates.map(({ der }) => der), everything()]
}, 60_000)

describe('Certificate.parse answers or says ERR_CLIENT_CERT_MALFORMED', () => {
  test('what is mutated is valid, and its tree encodes to itself', () => {
    for (const der of corpus) {
      expect(survives(der)).toBe(true)
      expect(Buffer.compare(encode(treeOf(der)), der)).toBe(0)
    }
  })

  test('on arbitrary octets', () => {
    const header = fc.constantFrom([0x30, 0x03, 0x30, 0x01], [0x30, 0x82], [0x30, 0x80], [0x30, 0x84, 0xff], [])
    const octets = fc
      .tuple(header, fc.uint8Array({ maxLength: 300 }))
      .map(([first, rest]) => Uint8Array.from([...first, ...rest]))
    fc.assert(
      fc.property(octets, (der) => {
        survives(der)
      }),
      box(6000),
    )
  })

  test('on valid certificates with octets changed, put in, taken out', () => {
    const edit = fc.record({
      at: fc.nat(4000),
      octet: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x80, 0x81, 0x82, 0x84, 0xff, 0x30)),
      kind: fc.nat(3),
    })
    fc.assert(
      fc.property(fc.nat(1000), fc.array(edit, { minLength: 1, maxLength: 4 }), (which, edits) => {
        const der = [...(corpus[which % corpus.length] as Uint8Array)]
        for (const { at, octet, kind } of edits) {
          const index = at % der.length
          if (kind === 0) der.splice(index, 1)
          else if (kind === 1) der.splice(index, 0, octet)
          else der[index] = octet
        }
        survives(Uint8Array.from(der))
      }),
      box(10_000),
    )
  })

  test('on valid certificates with elements replaced, moved, doubled, retagged and wrapped, every length right', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.nat(1000), fc.array(mutation, { minLength: 1, maxLength: 3 }), (which, mutations) => {
        const tree = treeOf(corpus[which % corpus.length] as Uint8Array)
        for (const step of mutations) mutate(tree, step)
        if (survives(encode(tree))) accepted++
      }),
      box(5000),
    )
    // Some mutations are other valid certificates; if none were, the mutations would not reach deep enough.
    expect(accepted).toBeGreaterThan(20)
  })

  test('on a certificate with everything in it, each octet replaced by the telling ones', () => {
    const der = everything()
    for (let at = 0; at < der.length; at++) {
      for (const octet of [0, 1, 0x1f, 0x30, 0x7f, 0x80, 0x84, 0xff]) survives(Uint8Array.from(der.with(at, octet)))
    }
  })
})
