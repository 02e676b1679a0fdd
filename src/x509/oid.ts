/** Object identifiers this package knows, by the standards' names. */
export const oid = {
  // Extensions, RFC 5280 §4.2
  authorityKeyIdentifier: '2.5.29.35',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
  cRLDistributionPoints: '2.5.29.31',
  inhibitAnyPolicy: '2.5.29.54',
  freshestCRL: '2.5.29.46',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  subjectInfoAccess: '1.3.6.1.5.5.7.1.11',
  noRevAvail: '2.5.29.56', // RFC 9608

  // Extensions of CRLs and of their entries, RFC 5280 §5.2, §5.3
  cRLNumber: '2.5.29.20',
  deltaCRLIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  certificateIssuer: '2.5.29.29',

  anyPolicy: '2.5.29.32.0',

  // OCSP, RFC 6960
  ocspAccess: '1.3.6.1.5.5.7.48.1', // id-ad-ocsp, of authorityInfoAccess
  ocspBasic: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2', // RFC 9654
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',

  // Extended key usage, RFC 5280 §4.2.1.12
  anyExtendedKeyUsage: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  ocspSigning: '1.3.6.1.5.5.7.3.9',

  // otherName forms
  userPrincipalName: '1.3.6.1.4.1.311.20.2.3',
  smtpUtf8Mailbox: '1.3.6.1.5.5.7.8.9', // RFC 9598

  // Public keys
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsassaPss: '1.2.840.113549.1.1.10',
  ecPublicKey: '1.2.840.10045.2.1',
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
  dsa: '1.2.840.10040.4.1',
  mlDsa44: '2.16.840.1.101.3.4.3.17', // RFC 9881
  mlDsa65: '2.16.840.1.101.3.4.3.18',
  mlDsa87: '2.16.840.1.101.3.4.3.19',

  // Named curves, RFC 5480 §2.1.1.1
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',

  // Signatures, RFC 4055, RFC 5758, RFC 8410
  md5WithRsa: '1.2.840.113549.1.1.4',
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  dsaWithSha1: '1.2.840.10040.4.3',
  dsaWithSha256: '2.16.840.1.101.3.4.3.2',

  // Digests and mask generation
  mgf1: '1.2.840.113549.1.1.8',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const

/**
 * Attribute types by the descriptor RFC 4514 §3 writes, then those IANA registers for LDAP (RFC 4519, RFC 2985) that occur
 * in certificates. `aliases` below are read, never written.
 */
export const attributeTypes: ReadonlyMap<string, string> = new Map([
  ['CN', '2.5.4.3'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['C', '2.5.4.6'],
  ['STREET', '2.5.4.9'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['UID', '0.9.2342.19200300.100.1.1'],
  ['SN', '2.5.4.4'],
  ['serialNumber', '2.5.4.5'],
  ['title', '2.5.4.12'],
  ['description', '2.5.4.13'],
  ['businessCategory', '2.5.4.15'],
  ['postalCode', '2.5.4.17'],
  ['name', '2.5.4.41'],
  ['givenName', '2.5.4.42'],
  ['initials', '2.5.4.43'],
  ['generationQualifier', '2.5.4.44'],
  ['dnQualifier', '2.5.4.46'],
  ['pseudonym', '2.5.4.65'],
  ['organizationIdentifier', '2.5.4.97'],
  ['emailAddress', '1.2.840.113549.1.9.1'],
])

/** What openssl, .NET and Java write for the same attribute types. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['COMMONNAME', '2.5.4.3'],
  ['S', '2.5.4.8'],
  ['SP', '2.5.4.8'],
  ['E', '1.2.840.113549.1.9.1'],
  ['EMAIL', '1.2.840.113549.1.9.1'],
  ['SURNAME', '2.5.4.4'],
  ['G', '2.5.4.42'],
  ['GN', '2.5.4.42'],
  ['T', '2.5.4.12'],
  ['OID.2.5.4.97', '2.5.4.97'],
  ['STREETADDRESS', '2.5.4.9'],
  ['LOCALITYNAME', '2.5.4.7'],
  ['STATEORPROVINCENAME', '2.5.4.8'],
  ['ORGANIZATIONNAME', '2.5.4.10'],
  ['ORGANIZATIONALUNITNAME', '2.5.4.11'],
  ['COUNTRYNAME', '2.5.4.6'],
  ['DOMAINCOMPONENT', '0.9.2342.19200300.100.1.25'],
  ['USERID', '0.9.2342.19200300.100.1.1'],
])

const byUpperCase: ReadonlyMap<string, string> = new Map([
  ...aliases,
  ...[...attributeTypes].map(([name, type]): [string, string] => [name.toUpperCase(), type]),
])
const names: ReadonlyMap<string, string> = new Map([...attributeTypes].map(([name, type]) => [type, name]))

/** The attribute type a descriptor or a dotted identifier (with or without `OID.`) means; undefined where it means none. */
export function attributeType(written: string): string | undefined {
  const upper = written.toUpperCase()
  const known = byUpperCase.get(upper)
  if (known !== undefined) return known
  const dotted = upper.startsWith('OID.') ? written.slice(4) : written
  return /^[0-2](\.(0|[1-9]\d*))+$/.test(dotted) ? dotted : undefined
}

/** The descriptor RFC 4514 text uses for an attribute type; undefined where it uses the dotted identifier. */
export const attributeName = (type: string): string | undefined => names.get(type)

const usageNames: ReadonlyMap<string, string> = new Map([
  [oid.anyExtendedKeyUsage, 'anyExtendedKeyUsage'],
  [oid.serverAuth, 'serverAuth'],
  [oid.clientAuth, 'clientAuth'],
  [oid.codeSigning, 'codeSigning'],
  [oid.emailProtection, 'emailProtection'],
  [oid.timeStamping, 'timeStamping'],
  [oid.ocspSigning, 'OCSPSigning'],
])

/** The standard's name of an extended key usage, or its identifier. */
export const usageName = (identifier: string): string => usageNames.get(identifier) ?? identifier

const usagesByName: ReadonlyMap<string, string> = new Map(
  [...usageNames].map(([identifier, name]) => [name, identifier]),
)

/** The identifier of an extended key usage by its standard's name; undefined for a name that is not known. */
export const usageOf = (name: string): string | undefined => usagesByName.get(name)
