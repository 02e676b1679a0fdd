import 'reflect-metadata'
import { createHash, randomBytes } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { type Block, checkOid, context, encoded, integer, oid, sequence, setOf, time } from './asn1.js'
import { type KeyPair, keyOf, readKey, signed } from './keys.js'
import { encodeGeneralNames, encodeName } from './names.js'
import { lookUp, refuse } from './options.js'
import type * as types from './types.js'

/** Default options; the times are milliseconds from now. */
export type Role = Omit<types.IssueOptions, 'notBefore' | 'notAfter'> & {
  notBefore: number
  notAfter: number
}

export const HOUR = 3_600_000
export const DAY = 24 * HOUR

const endEntity: Role = {
  notBefore: -HOUR,
  notAfter: DAY,
  keyUsage: ['digitalSignature'],
  basicConstraints: { ca: false },
}
export const client: Role = { ...endEntity, subject: 'CN=alice', extendedKeyUsage: ['clientAuth'] }
export const server: Role = {
  ...endEntity,
  subject: 'CN=localhost',
  names: { dns: ['localhost'], ip: ['127.0.0.1', '::1'] },
  extendedKeyUsage: ['serverAuth'],
}
export const authority: Role = {
  notBefore: -DAY,
  notAfter: 365 * DAY,
  keyUsage: ['keyCertSign', 'cRLSign'],
  basicConstraints: { ca: true },
}

/** A certificate and what stands behind it: everything needed to issue with it. */
export interface Built {
  readonly certificate: types.TestCertificate
  readonly key: KeyPair
  readonly serialNumber: string
  /** DER of the Name. */
  readonly subject: Uint8Array
}

/** The one way by which every certificate comes into being. Without `issuer` it is self-signed. */
export async function buildCertificate(
  given: types.IssueOptions,
  role: Role,
  at: { now: Date; keyAlgorithm: types.TestKeyAlgorithm; issuer?: Built | undefined },
): Promise<Built> {
  const {
    subject: name = role.subject ?? '',
    names = role.names,
    notBefore = new Date(at.now.getTime() + role.notBefore),
    notAfter = new Date(at.now.getTime() + role.notAfter),
    keyAlgorithm = at.keyAlgorithm,
    key: holder,
    hash,
    extendedKeyUsage = role.extendedKeyUsage,
    keyUsage = role.keyUsage,
    basicConstraints = role.basicConstraints,
    serialNumber: hex,
    version = 3,
    criticalSan,
    extensions,
    omit,
    signWith,
    ...unknown
  } = given
  refuse(unknown)
  if (version !== 1 && version !== 3) throw new TypeError(`unknown version "${version}"`)

  const key = await keyOf(holder, keyAlgorithm)
  const subject = encodeName(name)
  const issuer = at.issuer ?? { subject, key }
  const serialNumber = hex === undefined ? randomSerial() : parseSerial(hex)
  const defaults =
    version === 1
      ? []
      : [
          ...(basicConstraints ? [basicConstraintsExtension(basicConstraints)] : []),
          ...(keyUsage ? [keyUsageExtension(keyUsage)] : []),
          ...(extendedKeyUsage ? [extendedKeyUsageExtension(extendedKeyUsage)] : []),
          new x509.SubjectKeyIdentifierExtension(keyIdentifier(key)),
          authorityKeyIdentifier(issuer.key),
          ...subjectAlternativeName(names, criticalSan ?? subject.length === 2),
        ]
  // X509CertificateGenerator writes neither version 1 nor a negative serial number.
  const certificate = signed('CERTIFICATE', signWith ? readKey(signWith) : issuer.key, hash, (algorithm) => [
    ...(version === 3 ? [context(0, integer(2))] : []),
    integer(serialNumber),
    algorithm,
    encoded(issuer.subject),
    sequence(time(notBefore), time(notAfter)),
    encoded(subject),
    encoded(key.publicKey),
    ...extensionList(defaults, extensions, omit).map((list) => context(3, list)),
  ])
  return { certificate, subject, key, serialNumber: serialText(serialNumber) }
}

/** A CertificationRequest (RFC 2986 §4). */
export async function createCsr(
  given: types.TestCsrOptions,
  inherited: types.TestKeyAlgorithm,
): Promise<types.TestCsr> {
  const { subject = 'CN=alice', names, extensions = [], keyAlgorithm, key: holder, hash, ...unknown } = given
  refuse(unknown)
  const key = await keyOf(holder, keyAlgorithm ?? inherited)
  const requested = [...subjectAlternativeName(names), ...extensions.map(extension)]
  const attribute = (list: Block) => sequence(oid('1.2.840.113549.1.9.14'), setOf([list]))
  const request = signed('CERTIFICATE REQUEST', key, hash, () => [
    integer(0),
    encoded(encodeName(subject)),
    encoded(key.publicKey),
    context(0, ...extensionList(requested).map(attribute)),
  ])
  return { ...request, key: { pem: key.pem } }
}

/** Positive, and 16 octets long. */
const randomSerial = (): bigint => (BigInt(`0x${randomBytes(16).toString('hex')}`) >> 2n) | (1n << 126n)

export function parseSerial(hex: string): bigint {
  const [, minus, digits] = /^(-?)([0-9a-f]+)$/i.exec(hex) ?? []
  if (!digits) throw new TypeError(`not a hexadecimal serial number: "${hex}"`)
  return BigInt(`0x${digits}`) * (minus ? -1n : 1n)
}

/** Upper-case hexadecimal of whole octets, as Node prints it. */
function serialText(serial: bigint): string {
  if (serial < 0n) return `-${serialText(-serial)}`
  const digits = serial.toString(16).toUpperCase()
  return digits.length % 2 ? `0${digits}` : digits
}

function basicConstraintsExtension({ ca, pathLength, ...unknown }: { ca: boolean; pathLength?: number }) {
  refuse(unknown)
  return new x509.BasicConstraintsExtension(ca, pathLength, true)
}

function keyUsageExtension(usages: readonly types.TestKeyUsage[]) {
  const flags = usages.map((usage) => lookUp<number>(x509.KeyUsageFlags, 'keyUsage', usage))
  return new x509.KeyUsagesExtension(
    flags.reduce((all, flag) => all | flag, 0),
    true,
  )
}

const keyPurposes: Record<string, string> = {
  serverAuth: x509.ExtendedKeyUsage.serverAuth,
  clientAuth: x509.ExtendedKeyUsage.clientAuth,
  ocspSigning: x509.ExtendedKeyUsage.ocspSigning,
  any: '2.5.29.37.0',
}

const extendedKeyUsageExtension = (purposes: readonly string[]) =>
  new x509.ExtendedKeyUsageExtension(purposes.map((purpose) => checkOid(keyPurposes[purpose] ?? purpose)))

export const authorityKeyIdentifier = (key: KeyPair): x509.Extension =>
  new x509.AuthorityKeyIdentifierExtension(keyIdentifier(key))

/** 160 bits of a hash of the public key, of our own making (RFC 5280 §4.2.1.2 leaves the method open). */
const keyIdentifier = ({ publicKey }: KeyPair): string =>
  createHash('sha256').update(publicKey).digest('hex').slice(0, 40)

/** None if there is nothing to name: an empty list may not be written. */
const subjectAlternativeName = (names: types.TestNames = {}, critical = false): x509.Extension[] =>
  Object.values(names).some((list) => list.length > 0)
    ? [new x509.Extension('2.5.29.17', critical, encodeGeneralNames(names))]
    : []

export function extension({ oid, critical = false, value, ...unknown }: types.TestExtension): x509.Extension {
  refuse(unknown)
  return new x509.Extension(checkOid(oid), critical, value)
}

/** Extensions, those given in place of defaults of their type; nothing if none are left, for an empty list may not be written. */
export function extensionList(
  defaults: readonly x509.Extension[],
  given: readonly types.TestExtension[] = [],
  omit: readonly string[] = [],
): Block[] {
  const dropped = new Set([...omit, ...given.map(({ oid }) => oid)])
  const all = [...defaults.filter(({ type }) => !dropped.has(type)), ...given.map(extension)]
  return all.length > 0 ? [sequence(...all.map(({ rawData }) => encoded(rawData)))] : []
}
