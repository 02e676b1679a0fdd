import 'reflect-metadata'
import { X509CrlReason } from '@peculiar/x509'
import { Enumerated } from 'asn1js'
import { type Block, context, encoded, integer, sequence, time, toDer } from './asn1.js'
import * as certificate from './certificate.js'
import { readKey, signed } from './keys.js'
import { lookUp, refuse } from './options.js'
import type { TestCrl, TestCrlOptions, TestRevocation } from './types.js'

type Numbered = TestCrlOptions & { number: bigint }

/** A version 2 CertificateList (RFC 5280 §5.1). */
export function encodeCrl(given: Numbered, issuer: certificate.Built, now: Date): TestCrl {
  const {
    revoked = [],
    thisUpdate = new Date(now.getTime() - certificate.HOUR),
    nextUpdate = new Date(now.getTime() + certificate.DAY),
    number,
    hash,
    extensions,
    omit,
    signWith,
    ...unknown
  } = given
  refuse(unknown)
  const crlNumber = certificate.extension({ oid: '2.5.29.20', value: toDer(integer(number)) })
  const defaults = [certificate.authorityKeyIdentifier(issuer.key), crlNumber]
  const entries = revoked.map((entry) => encodeEntry(entry, thisUpdate))
  return signed('X509 CRL', signWith ? readKey(signWith) : issuer.key, hash, (algorithm) => [
    integer(1),
    algorithm,
    encoded(issuer.subject),
    time(thisUpdate),
    ...(nextUpdate ? [time(nextUpdate)] : []),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    ...certificate.extensionList(defaults, extensions, omit).map((list) => context(0, list)),
  ])
}

function encodeEntry(given: TestRevocation, thisUpdate: Date): Block {
  const { serialNumber, reason, date = thisUpdate, extensions = [], ...unknown } = given
  refuse(unknown)
  const hex = typeof serialNumber === 'string' ? serialNumber : serialNumber.serialNumber
  const code = reason && new Enumerated({ value: lookUp<number>(X509CrlReason, 'reason', reason) })
  const all = [...(code ? [{ oid: '2.5.29.21', value: toDer(code) }] : []), ...extensions]
  const list = certificate.extensionList(all.map(certificate.extension))
  return sequence(integer(certificate.parseSerial(hex)), time(date), ...list)
}
