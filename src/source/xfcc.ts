import { hash } from 'node:crypto'
import { isClientCertError } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { Certificate } from '../x509/certificate.js'
import { DecodingError, describeOther, type HeaderDecoder, pemCertificates } from './decoding.js'
import { unescapePem } from './percent.js'

/** What is read of one element: Cert and Chain make the identity, Hash has to agree, By is for the operator's line, Subject must not come twice. */
interface Element {
  readonly by?: string
  readonly hash?: string
  readonly cert?: string
  readonly chain?: string
  readonly subject?: string
}
type Key = keyof Element
const keys: readonly string[] = ['by', 'hash', 'cert', 'chain', 'subject'] satisfies readonly Key[]

/**
 * Envoy's X-Forwarded-Client-Cert, and what Azure Container Apps makes of it: elements joined with commas, one for each hop, the nearest at
 * the right, each of `Key=Value` pairs joined with semicolons. A value in double quotes may hold anything. Subject and Issuer are written
 * between quotes as they are, in the escapes of RFC 2253 §2.4: a backslash belongs to the character behind it, so `\"` does not close the
 * value, and `\\"` does.
 *
 * Envoy writes By, URI and DNS without quotes and escapes: a certificate whose names hold a comma or semicolon adds pairs and elements of
 * its own. So nothing but Cert and Chain is an identity, Hash has to be the SHA-256 of Cert, no key that decides may come twice, and the
 * certificates of all elements left of the chosen one must be there, and have no name that could have written it.
 *
 * @param trustedHops how many proxies of yours add an element of their own behind the client's: the chosen element, counted from the right
 */
export function xfcc(trustedHops: number): HeaderDecoder {
  return {
    certificate(value) {
      const elements = split(value)
      const index = elements.length - 1 - trustedHops
      const element = elements[index]
      if (element === undefined) {
        throw new DecodingError(
          `has ${elements.length} elements, trustedHops: ${trustedHops} needs ${trustedHops + 1}`,
          'trustedHops: is the number of your proxies behind the one the client talks to, 0 for one proxy',
        )
      }
      const certificates = certificatesOf(element, index, elements.length)
      elements.slice(0, index).forEach((left, i) => {
        checkNames(certificatesOf(left, i, elements.length), i, elements.length)
      })
      return certificates
    },
  }
}

function certificatesOf(element: Element, index: number, count: number): readonly Uint8Array[] {
  const { cert, chain } = element
  const name = nameOf(element, index, count)
  if (cert === undefined && chain === undefined) {
    const outer = index > 0 ? `; for the outer client trustedHops: ${count - index}` : ''
    throw new DecodingError(`${name} has no Cert=`, `set_current_client_cert_details: { cert: true }${outer}`)
  }
  const own = cert === undefined ? [] : pemCertificates(unescaped(cert), 1)
  // Envoy's Chain begins with the end entity.
  const all = chain === undefined ? own : pemCertificates(unescaped(chain), limits.presentedCertificates)
  const [leaf] = own.length === 0 ? all : own
  if (leaf === undefined || Buffer.compare(leaf, all[0] as Uint8Array) !== 0) {
    throw new DecodingError(`${name} has a Chain= that does not begin with its Cert=`)
  }
  if (element.hash !== hash('sha256', leaf, 'hex')) {
    throw new DecodingError(
      `${name} has ${element.hash === undefined ? 'no Hash=' : 'a Hash= that is not the SHA-256 of its certificate'}`,
    )
  }
  return all
}

const withoutNames =
  'Envoy writes URI= and DNS= without quotes: take uri and dns out of set_current_client_cert_details, or issue no certificates with commas, semicolons or quotes in their names'

/** The element that was chosen must not have been written by a name in the certificate of an element before it. */
function checkNames([leaf]: readonly Uint8Array[], index: number, count: number): void {
  const names = namesOf(leaf as Uint8Array)
  const writer = names.find((name) => /[,;"]/.test(name))
  if (writer !== undefined) {
    throw new DecodingError(
      `element ${index + 1} of ${count} has the name ${quote(writer)} in its certificate, which may have written what follows it`,
      withoutNames,
    )
  }
}

function namesOf(der: Uint8Array): readonly string[] {
  try {
    const names = Certificate.parse(der).extensions.subjectAltName ?? []
    return names.flatMap((name) => ('value' in name && typeof name.value === 'string' ? [name.value] : []))
  } catch (error) {
    if (isClientCertError(error)) throw new DecodingError('holds what is no certificate in an element of an outer hop')
    throw error
  }
}

const nameOf = ({ by }: Element, index: number, count: number) =>
  `XFCC element ${index + 1} of ${count}${by === undefined ? '' : ` (By=${quote(by).slice(1, -1)})`}`

/** Envoy escapes all five characters of PEM that may be. */
function unescaped(value: string): string {
  const read = unescapePem(value)
  const isOwn = read !== undefined && read.escapes.slash !== 'literal' && read.escapes.equals !== 'literal'
  if (!isOwn || read.escapes.slash === 'both' || read.escapes.equals === 'both') {
    throw new DecodingError('wants percent-encoded PEM in Cert= and Chain=')
  }
  return read.text
}

/** One pass over the value, character by character. Any error refuses all of it: an element after a mistake may be anybody's. */
function split(text: string): readonly Element[] {
  const elements: { [K in Key]?: string }[] = []
  let element: { [K in Key]?: string } = {}
  let at = 0
  while (at < text.length) {
    const equals = keyEnd(text, at)
    if (equals === at || text.charCodeAt(equals) !== EQUALS) {
      // Behind a pair that was well formed it is a name that does not look like one.
      if (at > 0) throw new DecodingError('wants Key=Value pairs', withoutNames)
      throw new DecodingError(`wants Key=Value pairs${describeOther(text)}`)
    }
    const isQuoted = text.charCodeAt(equals + 1) === QUOTE
    const start = isQuoted ? equals + 2 : equals + 1
    const stop = isQuoted ? closingQuote(text, start) : valueEnd(text, start)
    // Nothing is kept of a key nobody knows.
    if (equals - at <= longestKey) remember(element, text.slice(at, equals), text, start, stop, elements.length)
    at = isQuoted ? stop + 1 : stop
    // A semicolon before a comma or at the end is how Azure Container Apps ends an element.
    if (text.charCodeAt(at) === SEMICOLON) {
      at++
      if (at < text.length && text.charCodeAt(at) !== COMMA) continue
    }
    elements.push(element)
    if (elements.length > limits.forwardedElements) {
      throw new DecodingError(`has more than ${limits.forwardedElements} elements`)
    }
    if (at === text.length) return elements
    if (text.charCodeAt(at) !== COMMA) throw new DecodingError('has something behind a closing quote')
    element = {}
    at++
    // Proxies join lines with a comma and a space.
    while (text.charCodeAt(at) === SPACE) at++
  }
  throw new DecodingError('wants Key=Value pairs, and ends in a comma')
}

const QUOTE = 0x22
const COMMA = 0x2c
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const SPACE = 0x20
const longestKey = 'subject'.length

function keyEnd(text: string, from: number): number {
  let at = from
  while (isLetter(text.charCodeAt(at) | 0x20)) at++
  return at
}

const isLetter = (lower: number) => lower >= 0x61 && lower <= 0x7a

function valueEnd(text: string, from: number): number {
  let at = from
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === COMMA || code === SEMICOLON) return at
    if (code === QUOTE) throw new DecodingError('has a quote inside a value that is not quoted')
  }
  return at
}

/** Whether the backslashes before it are odd in number: each two are one. */
function isEscaped(text: string, at: number, from: number): boolean {
  let start = at
  while (start > from && text.charCodeAt(start - 1) === BACKSLASH) start--
  return (at - start) % 2 === 1
}

function closingQuote(text: string, from: number): number {
  let stop = text.indexOf('"', from)
  while (stop >= 0 && isEscaped(text, stop, from)) stop = text.indexOf('"', stop + 1)
  if (stop < 0) throw new DecodingError('has a quote that is never closed')
  return stop
}

/** Keys in any case. By may come several times; URI and DNS, and keys nobody knows, are passed over. */
function remember(
  element: { [K in Key]?: string },
  key: string,
  text: string,
  start: number,
  stop: number,
  index: number,
): void {
  const name = key.toLowerCase()
  if (!keys.includes(name)) return
  if (element[name as Key] === undefined) element[name as Key] = text.slice(start, stop)
  else if (name !== 'by') throw new DecodingError(`element ${index + 1} has ${key}= twice`)
}
