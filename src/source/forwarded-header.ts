import type { Description } from '../description.js'
import { deny } from '../errors.js'
import { limits } from '../limits.js'
import { absentFromStranger, absentInHeader } from './absent.js'
import { DecodingError, sequenceLength } from './decoding.js'
import { type ForwardedHeaderOptions, type ForwardedHeaderSettings, resolveForwarding } from './forwarded-options.js'
import { type FoundFields, fieldReader, several, single } from './header-lines.js'
import { HeaderMemory } from './header-memory.js'
import { isAbsentForm } from './presets.js'
import { CertificateFacts, checkRedundant, isFingerprint, isSerialNumber } from './redundant.js'
import type { AnyRequest, CertificateSource, PresentedChain, Reading } from './source.js'
import { describeGate, type TrustedProxy } from './trusted-proxy.js'

/** A source of forwarded certificates, in its parts: who may speak, and what is read once that is known. */
export interface ForwardedHeaderSource extends CertificateSource {
  readonly from: TrustedProxy
  readonly fields: readonly string[]
  /** @internal Reads a request whose peer `from` has admitted. */
  readAdmitted(request: AnyRequest): Reading
  /** @internal Throws where a peer that was not admitted sent one of the certificate fields. */
  refuseFields(request: AnyRequest): void
}

/** What a header value was decoded to. */
interface Decoded {
  readonly reading: Extract<Reading, { presented: object }>
  readonly facts: CertificateFacts
}

/** Certificates of one client and what is known of them, in a header check: enough for a path of RSA-4096. */
const typicalCertificate = 2_048
const typicalChain = 4
const otherHeaders = 4_096

/**
 * Certificates from a proxy that ends TLS. A header of a peer that `from` does not admit is not even decoded. The certificate is then
 * validated in full: that a proxy passed it on proves nothing but possession of the key, and that only if the proxy is yours.
 *
 * @example
 * createAuthenticator({ trust, source: forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.3.7') }) })
 */
export function forwardedHeader(options: ForwardedHeaderOptions): ForwardedHeaderSource {
  const settings = resolveForwarding(options)
  const { label, preset, from, certificate, chain, status, fingerprint, serialNumber } = settings
  const fields = [certificate, ...chain]
  const names = [...fields, status, fingerprint, serialNumber].filter((name) => name !== undefined)
  const [statusAt, fingerprintAt, serialNumberAt] = [status, fingerprint, serialNumber].map((name) =>
    name === undefined ? -1 : names.indexOf(name),
  ) as [number, number, number]
  const find = fieldReader(names)
  const memory = new HeaderMemory<Decoded>(limits.headerMemoryBytes)
  let wasSent = false

  function readAdmitted(request: AnyRequest): Reading {
    const found = find(request)
    const line = single(certificate, found[0])
    const value = line === undefined || isAbsentForm(line) ? undefined : line
    const chainLines = chain.length === 0 ? noLines : linesOfChain(settings, found)
    const verdict = statusAt < 0 ? undefined : single(status as string, found[statusAt])
    const decoded = value === undefined ? undefined : (memory.find(value, chainLines) ?? decode(value, chainLines))
    if (decoded === undefined) {
      checkNothingElse(settings, chainLines, verdict, [fingerprintAt, serialNumberAt], names, found)
      return absence(request)
    }
    if (statusAt >= 0 && verdict !== settings.statusAccepts) throw vetoed(settings, verdict)
    wasSent = true
    if (fingerprintAt >= 0) {
      checkRedundant(fingerprint as string, single(fingerprint as string, found[fingerprintAt]), (text) =>
        isFingerprint(text, decoded.facts),
      )
    }
    if (serialNumberAt >= 0) {
      checkRedundant(serialNumber as string, single(serialNumber as string, found[serialNumberAt]), (text) =>
        isSerialNumber(text, preset.serialNumber ?? 'hex', decoded.facts),
      )
    }
    return decoded.reading
  }

  function absence(request: AnyRequest): Reading {
    const { whereToLook } = preset
    return { presented: undefined, absent: absentInHeader(request, certificate, { wasSent, whereToLook }) }
  }

  function decode(value: string, chainLines: readonly string[]): Decoded | undefined {
    // Copies: what Node decodes into is a part of something larger, which would stay as long as the part.
    const certificates = decodeAll(settings, value, chainLines)?.map((der) => new Uint8Array(der))
    if (certificates === undefined) return undefined
    const [leaf, ...intermediates] = certificates as [Uint8Array, ...Uint8Array[]]
    const octets = certificates.reduce((sum, { byteLength }) => sum + byteLength, 0)
    const presented: PresentedChain = Object.freeze({ certificate: leaf, intermediates, via: 'proxy' })
    const decoded: Decoded = {
      reading: {
        presented,
        session: presented,
        header: { name: certificate, preset: label },
        accepted: () => memory.remember(value, chainLines, decoded, octets),
      },
      facts: new CertificateFacts(leaf),
    }
    return decoded
  }

  function refuseFields(request: AnyRequest): void {
    const sent = fields.find((name) => isPresent(request, name))
    if (sent === undefined) return
    const peer = request.socket?.remoteAddress
    throw deny('ERR_CLIENT_CERT_UNTRUSTED_PROXY', { peer, header: sent, gate: from.description })
  }

  /** A stranger's header is refused unread; a stranger without one has simply no certificate here. */
  function readJudged(request: AnyRequest, admitted: boolean): Reading {
    // Only true admits: a gate of the operator's may return anything.
    if (admitted === true) return readAdmitted(request)
    refuseFields(request)
    return { presented: undefined, absent: absentFromStranger(request, certificate, from.description) }
  }

  function read(request: AnyRequest, at: number): Reading | Promise<Reading> {
    const admitted = from.admits(request, at)
    return typeof admitted === 'object'
      ? Promise.resolve(admitted).then((answer) => readJudged(request, answer))
      : readJudged(request, admitted)
  }

  const certificates = preset.chainInValue || chain.length > 0 ? typicalChain : 1
  return Object.freeze({
    name: `header ${certificate} (${label})`,
    fields: Object.freeze(fields),
    headerOctets: Math.ceil(certificates * typicalCertificate * preset.expansion) + otherHeaders,
    from,
    read,
    readAdmitted,
    refuseFields,
    describe: () => describeForwarding(settings),
  })
}

function describeForwarding(settings: ForwardedHeaderSettings): Description {
  const { label, certificate, chain, status, statusAccepts, fingerprint, serialNumber, trustedHops, from } = settings
  return {
    kind: 'forwardedHeader',
    preset: label,
    headers: { certificate, chain, status, fingerprint, serialNumber },
    statusAccepts: status === undefined ? undefined : statusAccepts,
    trustedHops,
    from: describeGate(from),
  }
}

const noLines: readonly string[] = Object.freeze([])

const isSequence = (der: unknown) =>
  der instanceof Uint8Array && der.length > 0 && sequenceLength(der, 0) === der.length

/** Fields of RFC 9440 may come on several lines; of every other product each field stands for itself, once. */
function linesOfChain({ chain, preset }: ForwardedHeaderSettings, found: FoundFields): readonly string[] {
  if (preset.chainIsList) return several(found[1])
  return chain.map((name, i) => single(name, found[i + 1]) ?? '')
}

function decodeAll(
  { label, certificate, chain, decoder }: ForwardedHeaderSettings,
  value: string,
  chainLines: readonly string[],
): readonly Uint8Array[] | undefined {
  const length = chainLines.reduce((sum, line) => sum + line.length, value.length)
  const malformed = (reason: string, fix?: string) =>
    deny('ERR_CLIENT_CERT_HEADER_MALFORMED', {
      header: certificate,
      preset: label,
      reason,
      ...(fix === undefined ? {} : { fix }),
    })
  if (length > limits.headerBytes) throw malformed(`came with ${length} octets, the limit is ${limits.headerBytes}`)
  let header = certificate
  try {
    const own = decoder.certificate(value)
    if (own === undefined) return undefined
    header = chain[0] ?? certificate
    const all = [...own, ...(chainLines.length === 0 ? [] : (decoder.chain?.(chainLines) ?? []))]
    if (own.length === 0 || all.length > limits.presentedCertificates) {
      throw malformed(
        own.length === 0 ? 'holds no certificate' : `came with more than ${limits.presentedCertificates} certificates`,
      )
    }
    if (!all.every(isSequence)) throw malformed('holds something that is not the DER of a certificate')
    return all
  } catch (error) {
    if (!(error instanceof DecodingError)) throw error
    const { message: reason, fix } = error
    throw deny('ERR_CLIENT_CERT_HEADER_MALFORMED', {
      header,
      preset: label,
      reason,
      ...(fix === undefined ? {} : { fix }),
    })
  }
}

/** Where there is no certificate, nothing may speak of one: the proxy lost it, or somebody else wrote the rest. */
function checkNothingElse(
  settings: ForwardedHeaderSettings,
  chainLines: readonly string[],
  verdict: string | undefined,
  redundant: readonly number[],
  names: readonly string[],
  found: FoundFields,
): void {
  const { label, certificate, chain, preset, status, statusAccepts, statusNone } = settings
  const malformed = (header: string, reason: string, fix?: string) =>
    deny('ERR_CLIENT_CERT_HEADER_MALFORMED', { header, preset: label, reason, ...(fix === undefined ? {} : { fix }) })
  if (verdict === statusAccepts && status !== undefined) {
    throw malformed(certificate, `is empty where ${status} says ${verdict}`, preset.blank)
  }
  if (verdict !== undefined && !statusNone.includes(verdict)) throw vetoed(settings, verdict)
  const isEmpty = (line: string) => line === '' || isAbsentForm(line)
  // RFC 9440 §2.3: the chain must not come without the certificate.
  if (!chainLines.every(isEmpty)) {
    throw malformed(chain[0] as string, `came without ${certificate}`)
  }
  for (const at of redundant) {
    const name = names[at]
    const line = name === undefined ? undefined : single(name, found[at])
    if (line !== undefined && !isEmpty(line) && !/^\{.*\}$/.test(line)) {
      throw malformed(name as string, `came without ${certificate}`, preset.blank)
    }
  }
}

function vetoed({ status, statusAccepts }: ForwardedHeaderSettings, verdict: string | undefined) {
  return deny('ERR_CLIENT_CERT_PROXY_REFUSED', {
    header: status as string,
    verdict,
    accepts: statusAccepts,
  })
}

const isPresent = ({ rawHeaders }: AnyRequest, name: string) =>
  rawHeaders.some((field, i) => i % 2 === 0 && field.length === name.length && field.toLowerCase() === name)
