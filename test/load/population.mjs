// Who connects: certificates of every kind, and what each of them may be answered.
import { createTestAuthority, createTestPki } from 'mtls-identity/testing'
import { Timeline } from './timeline.mjs'

const refusal = (code, status = 403) => `${status} ERR_CLIENT_CERT_${code}`
export const accepted = 'accepted'
export const revoked = refusal('REVOKED')
export const expired = refusal('EXPIRED')
export const unknownIssuer = refusal('UNKNOWN_ISSUER')
export const undetermined = refusal('REVOCATION_UNKNOWN', 503)

/** Of one hundred connections. What is missing to it are valid clients. */
const shares = {
  none: { share: 5, verdicts: [refusal('ABSENT', 401)] },
  expired: { share: 4, by: 'issuing', verdicts: [expired], validity: [-2, -1] },
  stranger: { share: 4, by: 'stranger', verdicts: [unknownIssuer] },
  'revoked by CRL': { share: 4, by: 'issuing', verdicts: [revoked] },
  'on the deny list': { share: 4, by: 'issuing', verdicts: [revoked] },
  'good by OCSP': { share: 6, by: 'ocsp', verdicts: [accepted], most: 20 },
  'revoked by OCSP': { share: 3, by: 'ocsp', verdicts: [revoked], most: 10 },
  // What may be answered to these changes during the run.
  'held by CRL': { share: 3, by: 'issuing', verdicts: [accepted] },
  'held by deny list': { share: 3, by: 'issuing', verdicts: [accepted] },
  'of the old CA': { share: 3, by: 'old', verdicts: [accepted] },
  'of the new CA': { share: 3, by: 'new', verdicts: [unknownIssuer] },
  ending: { share: 2, by: 'issuing', verdicts: [accepted], late: true },
}

const day = 86_400_000

/** Certificates each serve so many connections, so that decisions are remembered by certificate and by session. */
const connectionsPerCertificate = 2

/**
 * Makes the CAs and the clients. All clients have one key, which says nothing about their certificates and saves the time to make keys.
 *
 * @param {number} connections
 */
export async function createPopulation(connections) {
  const pki = await createTestPki({ name: 'Load' })
  const authorities = {
    issuing: pki,
    stranger: await createTestPki({ name: 'Stranger' }),
    old: await createTestAuthority({ subject: 'CN=Old CA' }),
    new: await createTestAuthority({ subject: 'CN=New CA' }),
    ocsp: await createTestAuthority({ subject: 'CN=OCSP CA' }),
  }
  const bystander = await createTestAuthority({ subject: 'CN=Bystander CA' })
  const key = await pki.issue()

  const groups = Object.entries(shares).map(([name, { share, verdicts, most = Number.POSITIVE_INFINITY, ...rest }]) => {
    const size = Math.max(2, Math.round((connections * share) / 100))
    const distinct = Math.min(most, Math.ceil(size / connectionsPerCertificate))
    return { name, size, distinct, timeline: new Timeline(...verdicts), ...rest }
  })
  const size = connections - groups.reduce((sum, group) => sum + group.size, 0)
  const distinct = Math.ceil(size / connectionsPerCertificate)
  groups.unshift({ name: 'valid', size, distinct, timeline: new Timeline(accepted), by: 'issuing' })

  /** Certificates of a group; `notAfter` for those that are to end. */
  async function issue({ name, by, distinct, validity }, notAfter) {
    const dates = validity && {
      notBefore: new Date(Date.now() + validity[0] * day),
      notAfter: new Date(Date.now() + validity[1] * day),
    }
    const credentials = []
    for (let n = 0; by !== undefined && n < distinct; n++) {
      const subject = `CN=${name} ${n},O=Load`
      const options = { subject, key, ...dates, ...(notAfter === undefined ? {} : { notAfter }) }
      credentials.push({ cn: `${name} ${n}`, ...(await authorities[by].issue(options)) })
    }
    return credentials
  }

  for (const group of groups) group.credentials = group.late === true ? [] : await issue(group)
  return { pki, authorities, bystander, key: key.key.pem, groups, issue }
}

/** The connections of these groups, as the client processes are told: whose they are, and with what. */
export function connectionsOf(groups, all) {
  const connections = groups.flatMap(({ size, credentials, ...group }) =>
    Array.from({ length: size }, (_, n) => {
      const credential = credentials[n % credentials.length]
      return { group: all.findIndex(({ name }) => name === group.name), cn: credential?.cn, cert: credential?.tls.cert }
    }),
  )
  // Mixed, so that every client process has some of each.
  for (let i = connections.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[connections[i], connections[j]] = [connections[j], connections[i]]
  }
  return connections
}
