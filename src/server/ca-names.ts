import { randomBytes } from 'node:crypto'
import { Tag } from '../der/reader.js'
import { element, explicit, integer, objectIdentifier, octetString, sequence } from '../der/writer.js'
import { ClientCertConfigError } from '../errors.js'
import type { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { DistinguishedName } from '../x509/name.js'
import { oid } from '../x509/oid.js'

/**
 * Octets of names, each with its two octets of length, that fit into a CertificateRequest: measured with OpenSSL 3.0 and 3.5, where the message
 * as a whole ends at 65,535 (RFC 8446 §4.2.4). One name more, and every handshake fails.
 */
export const maximumNameOctets = 65_428

/**
 * The `ca` of a server that names the CAs it trusts in its CertificateRequest, and yet lets OpenSSL trust nobody: certificates of these names
 * whose key nobody has. Browsers and Java choose a certificate by the names; OpenSSL finds no signature of them to be good, so that
 * `socket.authorized` cannot be taken for a verdict, and Node 24.21 and 26.8 do not lose the client's intermediates. Throws
 * {@link ClientCertConfigError} where the names do not fit.
 */
export function nameList(trust: TrustSnapshot, intermediates: TrustSnapshot | undefined): string[] {
  const names = distinctNames([
    ...trust.anchors.map(({ certificate }) => certificate.subject),
    ...trust.pinned.map(({ certificate }) => certificate.issuer),
    ...(intermediates?.anchors ?? []).map(({ certificate }) => certificate.subject),
  ])
  const octets = names.reduce((sum, der) => sum + 2 + der.length, 0)
  if (octets > maximumNameOctets) {
    throw new ClientCertConfigError(
      `advertise: the names of ${names.length} CAs are ${octets} octets, and a handshake has room for ${maximumNameOctets} — leave advertise out: clients then choose a certificate themselves`,
    )
  }
  return names.map((der) => pemOf(nobody(der)))
}

function distinctNames(names: readonly DistinguishedName[]): Uint8Array[] {
  const octets = names.flatMap(({ der, isEmpty }) => (der === undefined || isEmpty ? [] : [der]))
  return [...new Map(octets.map((der) => [Buffer.from(der).toString('latin1'), der])).values()]
}

const octet = (...octets: number[]) => Uint8Array.from(octets)
const bitString = (octets: Uint8Array) => element(Tag.bitString, octet(0), octets)
const utcTime = (text: string) => element(Tag.utcTime, Buffer.from(text, 'ascii'))

/** RFC 8410 §3. */
const ed25519 = sequence(objectIdentifier('1.3.101.112'))

/** An RFC 5280 §4.1 certificate of this name, with octets of chance for its key, its key identifier and its signature. */
function nobody(name: Uint8Array): Uint8Array {
  const version3 = explicit(0, integer(octet(2)))
  const validity = sequence(utcTime('700101000000Z'), utcTime('700101000000Z'))
  const key = sequence(ed25519, bitString(randomBytes(32)))
  const keyIdentifier = sequence(objectIdentifier(oid.subjectKeyIdentifier), octetString(octetString(randomBytes(20))))
  const extensions = explicit(3, sequence(keyIdentifier))
  const signed = sequence(version3, integer(octet(1)), ed25519, name, validity, name, key, extensions)
  return sequence(signed, ed25519, bitString(randomBytes(64)))
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
