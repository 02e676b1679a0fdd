import { hash } from 'node:crypto'
import { deny } from '../errors.js'
import { Certificate } from '../x509/certificate.js'

/** What redundant headers are compared with: made once for a remembered certificate, and only where they are configured. */
export class CertificateFacts {
  readonly #der: Uint8Array
  #sha1: string | undefined
  #sha256: string | undefined
  #serialNumber: bigint | undefined

  constructor(der: Uint8Array) {
    this.#der = der
  }

  get sha1(): string {
    this.#sha1 ??= hash('sha1', this.#der, 'hex')
    return this.#sha1
  }

  get sha256(): string {
    this.#sha256 ??= hash('sha256', this.#der, 'hex')
    return this.#sha256
  }

  get serialNumber(): bigint {
    this.#serialNumber ??= BigInt(`0x0${Buffer.from(Certificate.parse(this.#der).serialNumber).toString('hex')}`)
    return this.#serialNumber
  }
}

/** A header beside the certificate says the same as the certificate, or one of the two has another author. */
export function checkRedundant(header: string, value: string | undefined, agrees: (value: string) => boolean): void {
  if (value !== undefined && agrees(value)) return
  const reason = value === undefined ? 'is missing beside the certificate' : 'does not agree with the certificate'
  throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', { header, cause: 'disagreeing', reason })
}

/** SHA-1 or SHA-256 in hexadecimal, in either case, with or without colons; or SHA-256 in base64 with or without padding (Google Cloud). */
export function isFingerprint(value: string, facts: CertificateFacts): boolean {
  const hex = value.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{40}$/.test(hex)) return hex === facts.sha1
  if (/^[0-9a-f]{64}$/.test(hex)) return hex === facts.sha256
  const base64 = Buffer.from(facts.sha256, 'hex').toString('base64')
  return value === base64 || value === base64.slice(0, -1)
}

/** RFC 5280 allows 20 octets; a text that is longer is not one. */
const longestSerialNumber = 64

/** The serial number as the product writes it: hexadecimal with or without colons and leading zeros, or decimal (Caddy, Traefik). */
export function isSerialNumber(value: string, form: 'hex' | 'decimal', facts: CertificateFacts): boolean {
  const digits = value.replaceAll(':', '')
  if (digits.length === 0 || digits.length > longestSerialNumber) return false
  if (form === 'decimal') return /^\d+$/.test(value) && BigInt(value) === facts.serialNumber
  return /^[0-9A-Fa-f]+$/.test(digits) && BigInt(`0x${digits}`) === facts.serialNumber
}
