import { X509CrlReason } from '@peculiar/x509'
import { Enumerated, GeneralizedTime, Primitive } from 'asn1js'
import { type Block, context, encoded, integer, sequence, toDer } from './asn1.js'
import { encodeGeneralNames } from './names.js'
import { lookUp, refuse } from './options.js'
import type {
  TestExtension,
  TestIssuingDistributionPoint,
  TestNames,
  TestReasonFlag,
  TestRevocation,
  TestRevocationReason,
} from './types.js'

export const crlNumber = (number: bigint): TestExtension => ({ oid: '2.5.29.20', value: toDer(integer(number)) })

/** RFC 5280 §5.2.4. */
export const deltaCrlIndicator = (base: number | bigint): TestExtension => ({
  oid: '2.5.29.27',
  critical: true,
  value: toDer(integer(BigInt(base))),
})

/** RFC 5280 §5.2.5. */
export function issuingDistributionPoint({
  fullName,
  onlyContainsUserCerts,
  onlyContainsCACerts,
  onlySomeReasons,
  indirectCRL,
  onlyContainsAttributeCerts,
  ...unknown
}: TestIssuingDistributionPoint): TestExtension {
  refuse(unknown)
  const value = sequence(
    ...(fullName ? [context(0, generalNames(0, fullName))] : []),
    ...flag(1, onlyContainsUserCerts),
    ...flag(2, onlyContainsCACerts),
    ...(onlySomeReasons ? [reasonFlags(3, onlySomeReasons)] : []),
    ...flag(4, indirectCRL),
    ...flag(5, onlyContainsAttributeCerts),
  )
  return { oid: '2.5.29.28', critical: true, value: toDer(value) }
}

/** RFC 5280 §5.3: what an entry says beside the serial number and the date. */
export const reasonCode = (reason: TestRevocationReason): TestExtension => ({
  oid: '2.5.29.21',
  value: toDer(new Enumerated({ value: lookUp<number>(X509CrlReason, 'reason', reason) })),
})

export const invalidityDate = (date: Date): TestExtension => ({
  oid: '2.5.29.24',
  value: toDer(new GeneralizedTime({ valueDate: new Date(`${date.toISOString().slice(0, -5)}Z`) })),
})

export const certificateIssuer = (name: NonNullable<TestRevocation['certificateIssuer']>): TestExtension => ({
  oid: '2.5.29.29',
  critical: true,
  value: encodeGeneralNames({ directory: [name] }),
})

/** `[n] IMPLICIT GeneralNames`. */
function generalNames(tagNumber: number, names: TestNames): Block {
  const octets = encodeGeneralNames(names)
  octets[0] = 0xa0 | tagNumber
  return encoded(octets)
}

/** `[n] IMPLICIT BOOLEAN DEFAULT FALSE`. */
const flag = (tagNumber: number, value = false): Block[] => (value ? [primitive(tagNumber, [0xff])] : [])

const reasonFlagBits: Record<TestReasonFlag, number> = {
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 7,
  aACompromise: 8,
}

/** `[n] IMPLICIT ReasonFlags`, a named bit list: no octet, and no bit in the last, that is not needed (X.690 §11.2.2). */
function reasonFlags(tagNumber: number, reasons: readonly TestReasonFlag[]): Block {
  const bits = reasons.map((reason) => lookUp<number>(reasonFlagBits, 'onlySomeReasons', reason))
  const last = Math.max(...bits)
  const octets = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] as number) | (0x80 >> (bit & 7))
  return bits.length === 0 ? primitive(tagNumber, [0]) : primitive(tagNumber, [7 - (last & 7), ...octets])
}

const primitive = (tagNumber: number, contents: readonly number[]): Block =>
  new Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex: Uint8Array.from(contents) })
