import 'reflect-metadata'
import { type Block, context, encoded, integer, sequence, time } from './asn1.js'
import * as certificate from './certificate.js'
import * as extension from './crl-extensions.js'
import { readKey, signed } from './keys.js'
import { refuse } from './options.js'
import type { TestCrl, TestCrlOptions, TestRevocation } from './types.js'

type Numbered = TestCrlOptions & { number: bigint }

/** A version 2 CertificateList (RFC 5280 §5.1). */
export function encodeCrl(given: Numbered, issuer: certificate.Built, now: Date): TestCrl {
  const {
    revoked = [],
    thisUpdate = new Date(now.getTime() - certificate.HOUR),
    nextUpdate = new Date(now.getTime() + certificate.DAY),
    number,
    baseNumber,
    issuingDistributionPoint,
    hash,
    extensions,
    omit,
    signWith,
    ...unknown
  } = given
  refuse(unknown)
  const own = [
    extension.crlNumber(number),
    ...(baseNumber === undefined ? [] : [extension.deltaCrlIndicator(baseNumber)]),
    ...(issuingDistributionPoint ? [extension.issuingDistributionPoint(issuingDistributionPoint)] : []),
  ]
  const defaults = [certificate.authorityKeyIdentifier(issuer.key), ...own.map(certificate.extension)]
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
  const {
    serialNumber,
    reason,
    date = thisUpdate,
    invalidityDate,
    certificateIssuer,
    extensions = [],
    ...unknown
  } = given
  refuse(unknown)
  const hex = typeof serialNumber === 'string' ? serialNumber : serialNumber.serialNumber
  const all = [
    ...(reason ? [extension.reasonCode(reason)] : []),
    ...(invalidityDate ? [extension.invalidityDate(invalidityDate)] : []),
    ...(certificateIssuer === undefined ? [] : [extension.certificateIssuer(certificateIssuer)]),
    ...extensions,
  ]
  const list = certificate.extensionList(all.map(certificate.extension))
  return sequence(integer(certificate.parseSerial(hex)), time(date), ...list)
}
