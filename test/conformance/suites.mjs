import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/**
 * The four suites in one shape. A case: { id, valid: true | false | undefined (either), input (for validateCertificationPath) | pem,
 * policies (expected user-constrained set, or undefined), maxMillis, lacks (why this runtime cannot find it valid) }, or { id, notRun: what of it is not understood }.
 * Profile switches are set for a suite as a whole, never for a case.
 */
export const suites = { pkits, limbo, bettertls, hostile }

export function load(directory, name) {
  const file = join(directory, `${name}.json.gz`)
  return suites[name](JSON.parse(gunzipSync(readFileSync(file))))
}

const bytes = (base64) => new Uint8Array(Buffer.from(base64, 'base64'))
const pemBytes = (pem) => bytes(pem.replace(/-----[A-Z0-9 ]+-----|\s/g, ''))

/** Its certificates have no extendedKeyUsage, and some of its paths end in a CA certificate. */
const pkitsProfile = { extendedKeyUsage: 'any', requireExtendedKeyUsage: false, allowCaAsClient: true }
const anyPolicy = '2.5.29.32.0'

function pkits({ tests }) {
  return tests.map((test) => {
    const { initialPolicySet, initialExplicitPolicy, initialPolicyMappingInhibit, initialInhibitAnyPolicy } =
      test.settings
    const [certificate, ...intermediates] = [...test.certificates, ...(test.extraCertificates ?? [])].map(bytes)
    const profile = {
      ...pkitsProfile,
      ...(test.needsDSA
        ? { signatureAlgorithms: [...signatureAlgorithms, 'id-dsa-with-sha1', 'id-dsa-with-sha256'] }
        : {}),
      initialPolicySet: initialPolicySet?.length > 0 ? initialPolicySet : [anyPolicy],
      requireExplicitPolicy: initialExplicitPolicy === true,
      inhibitPolicyMapping: initialPolicyMappingInhibit === true,
      inhibitAnyPolicy: initialInhibitAnyPolicy === true,
    }
    return {
      id: test.id,
      valid: test.shouldValidate,
      policies: test.expectedUserConstrainedPolicySet,
      input: {
        certificate,
        intermediates,
        trustAnchors: [bytes(test.trustAnchor)],
        at: pkitsTime,
        crls: test.crls.map(bytes),
        profile,
      },
    }
  })
}

/** DSA is for the tests that say they need it. */
const signatureAlgorithms = ['sha256WithRSAEncryption']

/** Every certificate of PKITS that is meant to be valid is valid from 2010 to 2030. */
const pkitsTime = new Date('2020-01-01T00:00:00Z')

const clientAuth = '1.3.6.1.5.5.7.3.2'
const serverAuth = '1.3.6.1.5.5.7.3.1'

/** RFC 5280's defaults: an absent extendedKeyUsage is allowed, and CAs have to issue what §4 asks of them. */
const limboProfile = { requireExtendedKeyUsage: false, requireKeyIdentifiers: true, requireConformingCas: true }
const bettertlsProfile = { requireExtendedKeyUsage: false }

function limbo(data) {
  return limboCases(data, limboProfile)
}

function bettertls(data) {
  return limboCases(data, bettertlsProfile)
}

function limboCases({ version, testcases }, suiteProfile) {
  if (version !== 1) throw new Error(`version ${version} of limbo's format is not known here`)
  return testcases.map((test) => {
    const notRun = unknownIn(test)
    return notRun === undefined ? limboCase(test, suiteProfile) : { id: test.id, notRun }
  })
}

function limboCase(test, suiteProfile) {
  const lacksMlDsa = test.features.includes('has-mldsa') && !mlDsaIsThere
  return {
    id: test.id,
    valid: test.expected_result === 'SUCCESS',
    ...(lacksMlDsa && { lacks: 'this runtime has no ML-DSA: OpenSSL has it from 3.5 on' }),
    input: {
      certificate: pemBytes(test.peer_certificate),
      intermediates: test.untrusted_intermediates.map(pemBytes),
      trustAnchors: test.trusted_certs.map(pemBytes),
      at: test.validation_time === null ? new Date() : new Date(test.validation_time),
      ...(test.crls?.length > 0 ? { crls: test.crls.map(pemBytes) } : {}),
      profile: {
        ...suiteProfile,
        extendedKeyUsage:
          test.extended_key_usage.length > 0 ? purposes[test.extended_key_usage[0]] : kinds[test.validation_kind],
        ...(test.max_chain_depth === null ? {} : { maxIntermediates: test.max_chain_depth }),
      },
    },
  }
}

/**
 * What a case asks for that is not understood here; undefined where nothing is. Such a case is not run: a refusal would agree with its verdict by
 * accident. Features are tags of what other fields say. Server names are known and left out: nothing here compares them.
 */
function unknownIn(test) {
  const nothing = (value) => value === null || value?.length === 0
  const field = Object.keys(test).find((name) => !limboFields.has(name) && !nothing(test[name]))
  const asked = ['signature_algorithms', 'key_usage'].find((name) => test[name].length > 0)
  const usages = test.extended_key_usage
  const pems = [test.peer_certificate, ...test.untrusted_intermediates, ...test.trusted_certs, ...(test.crls ?? [])]
  const unknown = [
    [field !== undefined, `the field ${field}`],
    [asked !== undefined, `${asked}: ${test[asked]}`],
    [!['SUCCESS', 'FAILURE'].includes(test.expected_result), `the result ${test.expected_result}`],
    [!Object.hasOwn(kinds, test.validation_kind), `the kind ${test.validation_kind}`],
    [usages.length > 1 || !usages.every((name) => Object.hasOwn(purposes, name)), `the purposes ${usages}`],
    [
      test.validation_time !== null && Number.isNaN(Date.parse(test.validation_time)),
      `the time ${test.validation_time}`,
    ],
    [test.features.includes('max-chain-depth') && test.max_chain_depth === null, 'a depth that is not there'],
    [test.features.includes('has-crl') && !(test.crls?.length > 0), 'CRLs that are not there'],
    [!pems.every((pem) => onePem.test(pem)), 'what is not one PEM block'],
  ]
  return unknown.find(([is]) => is)?.[1]
}

const mlDsaIsThere = (() => {
  try {
    return generateKeyPairSync('ml-dsa-44') !== undefined
  } catch {
    return false
  }
})()

const kinds = { SERVER: serverAuth, CLIENT: clientAuth }
const purposes = {
  anyExtendedKeyUsage: 'any',
  serverAuth,
  clientAuth,
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
}

const limboFields = new Set([
  'id',
  'conflicts_with',
  'features',
  'importance',
  'description',
  'validation_kind',
  'trusted_certs',
  'untrusted_intermediates',
  'peer_certificate',
  'peer_certificate_key',
  'validation_time',
  'signature_algorithms',
  'key_usage',
  'extended_key_usage',
  'expected_result',
  'expected_peer_name',
  'expected_peer_names',
  'max_chain_depth',
  'crls',
])

const onePem = /^\s*-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----\s*$/

function hostile({ validationTime, trustAnchor, cases }) {
  return cases.map((test) => ({
    id: test.id,
    valid: { accept: true, reject: false, either: undefined }[test.expect],
    maxMillis: test.maxMillis,
    ...(test.kind === 'pem' ? { pem: Buffer.from(test.data, 'base64').toString('latin1') } : {}),
    input: {
      certificate: bytes(test.data),
      intermediates: (test.intermediates ?? []).map(bytes),
      trustAnchors: [bytes(trustAnchor)],
      at: new Date(validationTime),
      ...(test.kind === 'certificate+crl' ? { crls: test.crls.map(bytes) } : {}),
      profile: { requireExtendedKeyUsage: false },
    },
  }))
}
