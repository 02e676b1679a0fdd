import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/**
 * The four suites in one shape. A case: { id, valid: true | false | undefined (either), input (for validateCertificationPath) | pem,
 * policies (expected user-constrained set, or undefined), maxMillis }.
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

/** RFC 5280's defaults: an absent extendedKeyUsage is allowed, and CAs have to write key identifiers. */
const limboProfile = { requireExtendedKeyUsage: false, requireKeyIdentifiers: true }
const bettertlsProfile = { requireExtendedKeyUsage: false }

function limbo(data) {
  return limboCases(data, limboProfile)
}

function bettertls(data) {
  return limboCases(data, bettertlsProfile)
}

function limboCases({ testcases }, suiteProfile) {
  return testcases.map((test) => ({
    id: test.id,
    valid: test.expected_result === 'SUCCESS',
    input: {
      certificate: pemBytes(test.peer_certificate),
      intermediates: test.untrusted_intermediates.map(pemBytes),
      trustAnchors: test.trusted_certs.map(pemBytes),
      at: test.validation_time === null ? new Date() : new Date(test.validation_time),
      ...(test.crls?.length > 0 ? { crls: test.crls.map(pemBytes) } : {}),
      profile: {
        ...suiteProfile,
        extendedKeyUsage: test.validation_kind === 'SERVER' ? serverAuth : clientAuth,
        ...(test.max_chain_depth === null ? {} : { maxIntermediates: test.max_chain_depth }),
      },
    },
  }))
}

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
