import { hash } from 'node:crypto'
import { isClientCertError } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { Certificate } from '../x509/certificate.js'
import { DecodingError, describeOther, type HeaderDecoder, pemCertificates } from './decoding.js'

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
 * the right, each of `Key=Value` pairs joined with semicolons. A value in double quotes may hold anything, `\"` stands for a quote, and a
 * backslash elsewhere for itself.
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
  const own = cert === undefined ? [] : pemCertificates(unescapePem(cert), 1)
  // Envoy's Chain begins with the end entity.
  const all = chain === undefined ? own : pemCertificates(unescapePem(chain), limits.presentedCertificates)
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

/** The element that was chosen must not have been written by a name in the certificate of an element before it. */
function checkNames([leaf]: readonly Uint8Array[], index: number, count: number): void {
  const names = namesOf(leaf as Uint8Array)
  const writer = names.find((name) => /[,;"]/.test(name))
  if (writer !== undefined) {
    throw new DecodingError(
      `element ${index + 1} of ${count} has the name ${quote(writer)} in its certificate, which may have written what follows it`,
      'take the names out of set_current_client_cert_details, or issue no such certificates',
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

/** Envoy escapes exactly these five. */
function unescapePem(value: string): string {
  const text = value
    .replaceAll('%0A', '\n')
    .replaceAll('%20', ' ')
    .replaceAll('%2B', '+')
    .replaceAll('%2F', '/')
    .replaceAll('%3D', '=')
  const again = text
    .replaceAll('\n', '%0A')
    .replaceAll(' ', '%20')
    .replaceAll('+', '%2B')
    .replaceAll('/', '%2F')
    .replaceAll('=', '%3D')
  if (again !== value) throw new DecodingError('wants percent-encoded PEM in Cert= and Chain=')
  return text
}

/** One pass over the value. Any error refuses all of it: an element after a mistake may be anybody's. */
function split(value: string): readonly Element[] {
  const elements: { [K in Key]?: string }[] = []
  let element: { [K in Key]?: string } = {}
  let at = 0
  while (at < value.length) {
    const pair = readPair(value, at)
    if (pair === undefined) throw new DecodingError(`wants Key=Value pairs${describeOther(value)}`)
    remember(element, pair, elements.length)
    at = pair.end
    // A semicolon before a comma or at the end is how Azure Container Apps ends an element.
    const isLast = value[at] !== ';' || at + 1 === value.length || value[at + 1] === ','
    if (value[at] === ';') at++
    if (!isLast) continue
    elements.push(element)
    if (elements.length > limits.forwardedElements) {
      throw new DecodingError(`has more than ${limits.forwardedElements} elements`)
    }
    element = {}
    if (at === value.length) return elements
    // Proxies join lines with a comma and a space.
    at++
    while (value[at] === ' ') at++
  }
  throw new DecodingError('wants Key=Value pairs, and ends in a comma')
}

interface Pair {
  readonly key: string
  readonly start: number
  readonly stop: number
  readonly end: number
  readonly value: string
}

const keyPattern = /([A-Za-z]+)=/y
const stopPattern = /[,;"]/g

function readPair(text: string, at: number): Pair | undefined {
  keyPattern.lastIndex = at
  const key = keyPattern.exec(text)?.[1]
  if (key === undefined) return undefined
  const start = keyPattern.lastIndex
  if (text[start] !== '"') {
    stopPattern.lastIndex = start
    const stop = stopPattern.exec(text)?.index ?? text.length
    if (text[stop] === '"') throw new DecodingError('has a quote inside a value that is not quoted')
    return { key, start, stop, end: stop, value: text }
  }
  let stop = text.indexOf('"', start + 1)
  while (stop >= 0 && text[stop - 1] === '\\') stop = text.indexOf('"', stop + 1)
  if (stop < 0) throw new DecodingError('has a quote that is never closed')
  const next = text[stop + 1]
  if (next !== undefined && next !== ';' && next !== ',')
    throw new DecodingError('has something behind a closing quote')
  return { key, start: start + 1, stop, end: stop + 1, value: text }
}

/** Keys in any case. By may come several times; URI and DNS, and keys nobody knows, are passed over. */
function remember(element: { [K in Key]?: string }, { key, start, stop, value }: Pair, index: number): void {
  const name = key.toLowerCase()
  if (name === 'by') element.by ??= value.slice(start, stop)
  else if (keys.includes(name)) {
    if (element[name as Key] !== undefined) throw new DecodingError(`element ${index + 1} has ${key}= twice`)
    element[name as Key] = value.slice(start, stop)
  }
}
