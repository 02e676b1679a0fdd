import { DerError } from '../../src/der/reader.js'
import { type CrlIndex, indexEntriesNow } from '../../src/revocation/crl-index.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  bitString,
  boolean,
  commonName,
  context,
  extension,
  generalizedTime,
  integer,
  integerOctets,
  oid,
  primitive,
  seq,
  tlv,
  utcTime,
} from './der-builder.js'

/** CRLs by hand, signed by nobody: reading says nothing about trust. */

const ecdsaWithSha256 = seq(oid('1.2.840.10045.4.3.2'))
const none = new Uint8Array(0)

/** The fields of a CRL, each as DER: a test replaces the one it is about. `undefined` leaves one out. */
export interface CrlFields {
  version?: Uint8Array | undefined
  tbsSignature?: Uint8Array
  issuer?: Uint8Array
  thisUpdate?: Uint8Array
  nextUpdate?: Uint8Array | undefined
  /** The members of revokedCertificates, or all of them behind one another, or undefined for a CRL without any. */
  entries?: readonly Uint8Array[] | Uint8Array | undefined
  extensions?: readonly Uint8Array[] | undefined
  afterExtensions?: Uint8Array
  signatureAlgorithm?: Uint8Array
  signature?: Uint8Array
  afterSignature?: Uint8Array
}

export function crlDer(fields: CrlFields = {}): Uint8Array {
  const f = {
    version: integer(1) as Uint8Array | undefined,
    tbsSignature: ecdsaWithSha256,
    issuer: commonName('issuer'),
    thisUpdate: utcTime('260101000000Z'),
    nextUpdate: utcTime('270101000000Z') as Uint8Array | undefined,
    entries: undefined as readonly Uint8Array[] | Uint8Array | undefined,
    extensions: [crlNumber(1)] as readonly Uint8Array[] | undefined,
    afterExtensions: none,
    signatureAlgorithm: ecdsaWithSha256,
    signature: bitString(0, seq(integer(1), integer(1))),
    afterSignature: none,
    ...fields,
  }
  const tbs = seq(
    f.version ?? none,
    f.tbsSignature,
    f.issuer,
    f.thisUpdate,
    f.nextUpdate ?? none,
    f.entries ? seq(f.entries instanceof Uint8Array ? f.entries : Buffer.concat(f.entries)) : none,
    f.extensions ? context(0, seq(...f.extensions)) : none,
    f.afterExtensions,
  )
  return seq(tbs, f.signatureAlgorithm, f.signature, f.afterSignature)
}

export const crlNumber = (number: number | bigint) => extension(known.cRLNumber, integer(number))
export const issuingDistributionPoint = (...members: readonly Uint8Array[]) =>
  extension(known.issuingDistributionPoint, seq(...members), true)
export const indirect = issuingDistributionPoint(primitive(4, [0xff]))

export const newYear = utcTime('260101000000Z')

/** An entry of revokedCertificates. */
export const entry = (serialNumber: number | bigint | Uint8Array, ...extensions: readonly Uint8Array[]) =>
  seq(
    serialNumber instanceof Uint8Array ? serialNumber : integer(serialNumber),
    newYear,
    ...(extensions.length > 0 ? [seq(...extensions)] : []),
  )

/** An entry without extensions of a positive serial number below 2^31, without the detours of a builder: for a hundred thousand of them. */
export function plainEntry(serialNumber: number): Buffer {
  const octets = Buffer.from([0x30, 21, 2, 4, 0, 0, 0, 0, ...newYear])
  octets.writeUInt32BE(0x40000000 + serialNumber, 4)
  return octets
}
export const plainSerial = (serialNumber: number): Uint8Array => plainEntry(serialNumber).subarray(4, 8)

export const reasonCode = (code: number) => extension(known.reasonCode, tlv(0x0a, [code]))
export const invalidityDate = (text: string) => extension(known.invalidityDate, generalizedTime(text))
export const certificateIssuer = (...names: readonly Uint8Array[]) =>
  extension(known.certificateIssuer, seq(...names), true)
export const directoryName = (value: string) => context(4, commonName(value))
export const unknownExtension = (critical: boolean) => extension('1.2.3.4', boolean(0xff), critical)

export const parseCrl = (fields: CrlFields = {}) => CertificateRevocationList.parse(crlDer(fields))
export const indexOf = (fields: CrlFields): CrlIndex => indexEntriesNow(parseCrl(fields))

/** INTEGER contents, as a certificate has them. */
export const serial = (value: bigint | number): Uint8Array => Uint8Array.from(integerOctets(BigInt(value)))

/** Why a CRL is refused, by its fields or by its entries; undefined where it is not. Anything but a {@link DerError} is thrown on. */
export function crlRefusal(der: Uint8Array): string | undefined {
  try {
    indexEntriesNow(CertificateRevocationList.parse(der))
    return undefined
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return error.message
  }
}
