import { decodeBase64, PemError, parsePem } from '../x509/pem.js'

/** What a decoder found wrong with a header value: a sentence for the operator, and what to do about it where the decoder knows. */
export class DecodingError extends Error {
  override readonly name = 'DecodingError'
  readonly fix: string | undefined

  constructor(reason: string, fix?: string) {
    super(reason)
    this.fix = fix
  }
}

/**
 * How a product writes certificates into header values. A decoder is strict and canonical: what it did not expect is an error, never a
 * guess, because the next reader might guess otherwise. It throws {@link DecodingError} with a sentence for the operator; whatever else it
 * throws refuses the request too, as an error of its own (500).
 *
 * @example
 * const decoder: HeaderDecoder = { certificate: (value) => [Buffer.from(value, 'hex')] }
 */
export interface HeaderDecoder {
  /** DER of the end entity, and of what follows it in the same value; undefined where the value is the product's way to say "none". */
  certificate(value: string): readonly Uint8Array[] | undefined
  /** DER of the certificates in separate chain headers: all of their lines, in order. */
  chain?(lines: readonly string[]): readonly Uint8Array[]
}

/** Canonical base64 of something, or an error that says what was expected instead. */
export function base64(text: string, expected: string): Uint8Array {
  const bytes = text === '' ? undefined : decodeBase64(text)
  if (bytes === undefined) throw new DecodingError(`wants ${expected}${describeOther(text)}`)
  return bytes
}

/**
 * Octets of the DER SEQUENCE that begins there, or 0. Its length has two or three octets (X.690 §8.1.3): what is shorter than 128 octets is no
 * certificate, what is longer than 65,535 is none we read.
 */
export function sequenceLength(bytes: Uint8Array, at: number): number {
  const octet = (index: number) => bytes[at + index] ?? 0
  if (octet(0) !== 0x30) return 0
  if (octet(1) === 0x81) return 3 + octet(2)
  if (octet(1) === 0x82) return 4 + octet(2) * 256 + octet(3)
  return 0
}

/** Certificates as PEM blocks one after the other, and nothing else. */
export function pemCertificates(text: string, maximum: number): readonly Uint8Array[] {
  const blocks = readPem(text)
  if (blocks.length === 0 || blocks.length > maximum) {
    throw new DecodingError(maximum === 1 ? 'wants exactly one certificate' : `wants 1 to ${maximum} certificates`)
  }
  const other = blocks.find(({ label }) => label !== 'CERTIFICATE')
  if (other !== undefined) throw new DecodingError(`wants a CERTIFICATE, found ${other.label}`)
  return blocks.map(({ bytes }) => bytes)
}

function readPem(text: string) {
  try {
    return parsePem(text)
  } catch (error) {
    if (error instanceof PemError) throw new DecodingError(`wants PEM: ${error.message}`)
    throw error
  }
}

/** What a value looks like instead: for the operator's line only, never for the decision. */
export function describeOther(value: string): string {
  const found = looks.find(([pattern]) => pattern.test(value))
  return found === undefined ? '' : `; the value ${found[1]}`
}

const looks: readonly [pattern: RegExp, says: string][] = [
  [/^\s*:/, "is in colons: RFC 9440, preset: 'rfc9440'"],
  [/^MII[A-Za-z0-9+/]+=*,MII/, "is bare base64 with commas: is this Traefik? preset: 'traefik'"],
  [
    /^MII/,
    `starts "MII": bare base64 — is this Cloud Foundry? preset: 'cloud-foundry'; HAProxy: 'haproxy'; Traefik: 'traefik'`,
  ],
  [/^"MII/, "is quoted base64: is this OpenShift? preset: 'openshift'"],
  [/^[[{]\s*[[{"]/, 'is JSON: is this Envoy? set_current_client_cert_details: { format: TEXT }'],
  [/^-----BEGIN CERTIFICATE----- /, "is PEM with spaces: is this Apache? preset: 'apache'"],
  [
    /^-----BEGIN%20CERTIFICATE-----.*[+/]/,
    "is percent-encoded PEM with + or / as they are: is this an AWS load balancer? preset: 'aws-alb'",
  ],
  [/^-----BEGIN%20/, "is percent-encoded PEM: preset: 'nginx', or 'aws-alb', 'kong', 'azure-application-gateway'"],
  [/^-----BEGIN CERT/, 'is not escaped'],
  [/^(?:By|Hash|Cert|Chain|Subject|URI|DNS)=/i, "is Key=Value: is this Envoy? preset: 'envoy'"],
  [/%22%3B|%3D%22/, 'is text about a certificate, not the certificate: forward the certificate itself (Traefik: pem)'],
  [/^\{.*\}$/, 'is a placeholder the proxy does not know'],
]
