// A public-key infrastructure made on the spot: everybody who will knock, with a certificate as good or as bad as they deserve.
import { rename, writeFile } from 'node:fs/promises'
import { createSelfSigned, createTestAuthority, createTestPki } from 'mtls-identity/testing'

const hour = 3_600_000
const fromNow = (milliseconds) => new Date(Date.now() + milliseconds)
const acme = (name) => ({ subject: `CN=${name},O=Acme`, names: { email: [`${name}@acme.example`] } })

export async function makePki() {
  const pki = await createTestPki({ name: 'Acme' })
  const strangersCa = await createTestAuthority({ subject: 'CN=Stranger CA' })
  const lookAlikeCa = await createTestAuthority({ subject: pki.root.subjectDer })
  const { intermediate } = pki

  const clients = {
    alice: { who: 'alice', shows: 'her certificate', ...(await pki.issue(acme('alice'))) },
    bob: { who: 'bob', shows: 'his certificate', ...(await pki.issue(acme('bob'))) },
    billing: {
      who: 'billing',
      shows: 'its X509-SVID',
      ...(await pki.issue({ subject: '', names: { uri: ['spiffe://acme.example/billing'] } })),
    },
    expired: {
      who: 'carol',
      shows: 'one that ended yesterday',
      ...(await pki.issue({ ...acme('carol'), notBefore: fromNow(-48 * hour), notAfter: fromNow(-25 * hour) })),
    },
    strangers: {
      who: 'mallory',
      shows: "one of a stranger's CA",
      ...(await strangersCa.issue(acme('alice'))),
    },
    forged: {
      who: 'mallory',
      shows: 'one of a look-alike CA',
      ...(await lookAlikeCa.issue(acme('alice'))),
    },
    selfSigned: {
      who: 'mallory',
      shows: "self-signed, root's name",
      ...(await createSelfSigned({ subject: pki.root.subjectDer })),
    },
    ca: {
      who: 'mallory',
      shows: "a CA's own, with its key",
      tls: { cert: intermediate.certificate.pem, key: intermediate.key.pem },
    },
    forServers: {
      who: 'www',
      shows: 'one made for servers',
      ...(await pki.issue({ subject: 'CN=www.acme.example', extendedKeyUsage: ['serverAuth'] })),
    },
    erin: { who: 'erin', shows: 'one that will be revoked', ...(await pki.issue(acme('erin'))) },
    frank: { who: 'frank', shows: 'one on a lost laptop', ...(await pki.issue(acme('frank'))) },
    nobody: { who: 'nobody', shows: 'no certificate' },
  }
  /** A certificate that ends while its holder is connected. */
  const shortLived = async (milliseconds) => {
    const notAfter = fromNow(milliseconds)
    return {
      who: 'dave',
      shows: 'one that ends in seconds',
      notAfter,
      ...(await pki.issue({ ...acme('dave'), notAfter })),
    }
  }
  /** What the CAs publish about whom they revoked: nobody yet. */
  const crls = async (revoked = []) => ({
    root: (await pki.root.crl()).pem,
    issuing: (await pki.crl({ revoked })).pem,
  })
  return {
    trust: pki.trust,
    issuing: intermediate.certificate.pem,
    server: await pki.server(),
    clients,
    shortLived,
    crls,
  }
}

/** What programs other than Node take as files, written into the working directory. */
export async function writeFiles({ trust, issuing, clients, crls }) {
  await writeFile('clients-ca.pem', trust)
  await writeFile('issuing-ca.pem', issuing)
  await publish(await crls())
  for (const [name, { tls }] of Object.entries(clients)) {
    if (tls === undefined) continue
    await writeFile(`${name}.pem`, tls.cert)
    await writeFile(`${name}.key`, tls.key, { mode: 0o600 })
  }
}

/** Exchanged whole: a reader finds the former file or the new one. */
export async function publish({ root, issuing }) {
  await writeFile('root.crl.new', root)
  await writeFile('issuing.crl.new', issuing)
  await rename('root.crl.new', 'root.crl')
  await rename('issuing.crl.new', 'issuing.crl')
}
