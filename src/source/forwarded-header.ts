import { ClientCertConfigError, deny, nearest, refuseUnknownOptions } from '../errors.js'
import { limits } from '../limits.js'
import { absentFromStranger, absentInHeader } from './absent.js'
import { DecodingError } from './decoding.js'
import { headerLines, singleLine } from './header-lines.js'
import { type PresetName, presets } from './presets.js'
import type { AnyRequest, CertificateSource, Reading } from './source.js'
import type { TrustedProxy } from './trusted-proxy.js'

export interface ForwardedHeaderOptions {
  /** The product that ends TLS, and with it the format of what it sends. */
  preset: PresetName
  /** Field names where yours differ from the preset's. `chain: false` if the proxy sends none. */
  headers?: { certificate?: string; chain?: string | false }
  /** Who may send them. There is no default: a certificate is public, and whoever may send one may be anybody. */
  from: TrustedProxy
}

/**
 * Certificates from a proxy that ends TLS. A header of a peer that `from` does not admit is not even decoded. The certificate is then
 * validated in full: that a proxy passed it on proves nothing but possession of the key, and that only if the proxy is yours.
 *
 * @example
 * createAuthenticator({ trust, source: forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.3.7') }) })
 */
export function forwardedHeader(options: ForwardedHeaderOptions): CertificateSource {
  const { preset, from, names, decoder } = digest(options)
  const malformed = (header: string, reason: string) =>
    deny('ERR_CLIENT_CERT_HEADER_MALFORMED', { header, preset, reason })

  function read(request: AnyRequest): Reading {
    if (!from.admits(request)) return refuseStranger(request, names, from)
    const value = singleLine(request, names.certificate)
    const chainLines = names.chain === undefined ? [] : headerLines(request, names.chain)
    checkSize(names.certificate, [value ?? '', ...chainLines], malformed)
    const certificates = value === undefined ? undefined : decode(names.certificate, () => decoder.certificate(value))
    const chain = decode(names.chain ?? '', () => decoder.chain?.(chainLines) ?? [])
    if (certificates === undefined) {
      // RFC 9440 §2.3: the chain must not come without the certificate.
      if (chain.length > 0) throw malformed(names.chain as string, `came without ${names.certificate}`)
      return { presented: undefined, absent: absentInHeader(request, names.certificate) }
    }
    const [certificate, ...rest] = certificates as [Uint8Array, ...Uint8Array[]]
    const intermediates = [...rest, ...chain]
    if (intermediates.length >= limits.presentedCertificates) {
      throw malformed(names.certificate, `came with more than ${limits.presentedCertificates} certificates`)
    }
    return {
      presented: { certificate, intermediates, via: 'proxy' },
      header: { name: names.certificate, preset },
    }
  }

  function decode<T>(header: string, read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof DecodingError) throw malformed(header, error.message)
      throw error
    }
  }

  return Object.freeze({ name: `header ${names.certificate} (${preset})`, read })
}

interface FieldNames {
  certificate: string
  chain: string | undefined
}

/** A stranger's header is refused unread; a stranger without one has simply no certificate here. */
function refuseStranger(request: AnyRequest, names: FieldNames, from: TrustedProxy): Reading {
  const sent = [names.certificate, names.chain].find((name) => name !== undefined && isPresent(request, name))
  if (sent === undefined) {
    return { presented: undefined, absent: absentFromStranger(request, names.certificate, from.description) }
  }
  const peer = request.socket?.remoteAddress
  throw deny('ERR_CLIENT_CERT_UNTRUSTED_PROXY', { peer, header: sent, gate: from.description })
}

const isPresent = ({ rawHeaders }: AnyRequest, name: string) =>
  rawHeaders.some((field, i) => i % 2 === 0 && field.length === name.length && field.toLowerCase() === name)

function checkSize(
  header: string,
  lines: readonly string[],
  malformed: (header: string, reason: string) => Error,
): void {
  const length = lines.reduce((sum, line) => sum + line.length, 0)
  if (length > limits.headerBytes)
    throw malformed(header, `came with ${length} octets, the limit is ${limits.headerBytes}`)
}

function digest(options: ForwardedHeaderOptions) {
  const where = 'forwardedHeader'
  if (typeof options !== 'object' || options === null)
    throw new ClientCertConfigError(`${where}: expected { preset, from }`)
  refuseUnknownOptions(where, options, ['preset', 'headers', 'from'])
  const { preset, headers = {}, from } = options
  const known = Object.hasOwn(presets, preset) ? presets[preset] : undefined
  if (known === undefined) {
    const names = Object.keys(presets)
    const near = typeof preset === 'string' ? nearest(preset, names) : undefined
    throw new ClientCertConfigError(
      `${where}: unknown preset ${JSON.stringify(preset)}.${near ? ` Did you mean "${near}"?` : ` Known: ${names.join(', ')}`}`,
    )
  }
  if (typeof from?.admits !== 'function') {
    throw new ClientCertConfigError(
      `${where}: from is missing — who may send the header? from: proxyAddress('10.0.3.7'), the address of your proxy`,
    )
  }
  refuseUnknownOptions(`${where}.headers`, headers, ['certificate', 'chain'])
  const certificate = fieldName('certificate', headers.certificate ?? known.certificate)
  if (headers.chain !== undefined && headers.chain !== false && known.decoder.chain === undefined) {
    throw new ClientCertConfigError(
      `${where}: preset '${preset}' has no chain header — configure the intermediates: intermediates: './issuing.pem'`,
    )
  }
  const chain = headers.chain === false ? undefined : (headers.chain ?? known.chain)
  const names: FieldNames = {
    certificate,
    chain: chain === undefined ? undefined : fieldName('chain', chain),
  }
  if (names.chain === names.certificate)
    throw new ClientCertConfigError(`${where}: certificate and chain name the same header`)
  return { preset, from, names, decoder: known.decoder }
}

/** RFC 9110 §5.1: a token; in lower case, as we compare it. */
function fieldName(which: string, name: string | undefined): string {
  if (typeof name === 'string' && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) return name.toLowerCase()
  throw new ClientCertConfigError(`forwardedHeader: headers.${which} is not a header name: ${JSON.stringify(name)}`)
}
