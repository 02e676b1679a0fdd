/** C-03: files that everybody on the machine may change are warned about, wherever an operator names them. */
import { chmodSync, lchownSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator, crl, denyList, proxySecret, rules, TrustStore } from '../src/index.js'
import { createTestPki, type TestPki } from '../src/testing.js'
import { temporaryFolder } from './support/pki.js'

const at = temporaryFolder()
let pki: TestPki
let list: Uint8Array
beforeAll(async () => {
  pki = await createTestPki()
  list = (await pki.root.crl()).der
})

let warnings: string[] = []
beforeEach(() => {
  warnings = []
  jest.spyOn(process, 'emitWarning').mockImplementation((text, options) => {
    const { type, code } = options as { type: string; code: string }
    if (code === 'MTLS_FILE_PERMISSIONS') warnings.push(`${type}: ${text}`)
  })
})
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
  jest.useRealTimers()
  jest.restoreAllMocks()
})

let folders = 0
/** A folder that is nobody else's. */
function folder(): string {
  const path = at(`f${folders++}`)
  mkdirSync(path, { mode: 0o755 })
  return path
}
/** Whatever the umask says. */
function fileIn(path: string, name: string, content: string | Uint8Array, mode = 0o644): string {
  const file = join(path, name)
  writeFileSync(file, content)
  chmodSync(file, mode)
  return file
}
const load = (path: string, watch = false) => {
  const store = TrustStore.load(path, { watch })
  open.push(store)
  return store
}
const told = (path: string, mode: string, may: string, change = 'o-w') =>
  `MtlsIdentityWarning: ${path} has mode ${mode}: everybody on this machine may ${may} — chmod ${change} ${path}`

const secret = 'x'.repeat(32)
/** Each way to name a file. */
const sources: [name: string, file: string, content: () => string | Uint8Array, use: (path: string) => unknown][] = [
  ['trust', 'ca.pem', () => pki.trust, (trust) => createAuthenticator({ trust, revocation: 'none', log: false })],
  [
    'intermediates',
    'ca.pem',
    () => pki.intermediate.certificate.pem,
    (intermediates) => createAuthenticator({ trust: pki.trust, intermediates, revocation: 'none', log: false }),
  ],
  ['a TrustStore', 'ca.pem', () => pki.trust, (path) => TrustStore.load(path)],
  ['a rule document', 'r.json', () => '{"allow":{"commonName":"a"}}', (file) => rules.document({ file })],
  ['listed()', 'a.pem', () => pki.intermediate.certificate.pem, (file) => rules.listed({ file })],
  ['a deny list', 'deny', () => `sha256:${'ab'.repeat(32)}\n`, (file) => denyList({ file })],
  ['CRLs', 'root.crl', () => list, (files) => crl({ files })],
  [
    'exceptions',
    'e.json',
    () => '[]',
    (file) => createAuthenticator({ trust: pki.trust, exceptions: { file }, revocation: 'none', log: false }),
  ],
]

describe.each(sources)('the file of %s', (_, name, content, use) => {
  const make = (mode: number) => {
    const path = fileIn(folder(), name, content(), mode)
    open.push(use(path) as { close(): unknown })
    return path
  }

  test('is warned about where everybody may write to it', () => {
    const path = make(0o646)
    expect(warnings).toEqual([told(path, '0646', 'change it')])
  })

  test('is not where only its owner may, or a group, as with fsGroup of Kubernetes', () => {
    for (const mode of [0o400, 0o644, 0o664, 0o660]) make(mode)
    expect(warnings).toEqual([])
  })
})

describe('the file of a proxy secret', () => {
  const use = (mode: number) => {
    const path = fileIn(folder(), 'secret', secret, mode)
    open.push(proxySecret({ header: 'X-Proxy-Secret', secrets: { file: path } }) as never)
    return path
  }

  test('is warned about where everybody may change it, and where everybody may read it', () => {
    const [changed, read] = [use(0o602), use(0o604)]
    expect(warnings).toEqual([told(changed, '0602', 'change it'), told(read, '0604', 'read it', 'o=')])
  })

  test('is not where only its owner and a group may', () => {
    use(0o600)
    use(0o640)
    expect(warnings).toEqual([])
  })
})

describe('the directories above a file', () => {
  test('count, however far above: whoever may write to one replaces what is in it', () => {
    const above = folder()
    const path = join(above, 'a', 'b')
    mkdirSync(path, { recursive: true, mode: 0o755 })
    const file = fileIn(path, 'ca.pem', pki.trust)
    chmodSync(above, 0o777)
    load(file)
    expect(warnings).toEqual([told(above, '0777', 'replace what is in it')])
  })

  test('do not where they are sticky, as /tmp is, or belong to a group', () => {
    for (const mode of [0o1777, 0o775, 0o2775]) {
      const path = folder()
      const file = fileIn(path, 'ca.pem', pki.trust)
      chmodSync(path, mode)
      load(file)
    }
    expect(warnings).toEqual([])
  })

  test('count for the link and for what it leads to', () => {
    const [open, closed] = [folder(), folder()]
    const file = fileIn(closed, 'ca.pem', pki.trust)
    symlinkSync(file, join(open, 'link.pem'))
    fileIn(open, 'ca.pem', pki.trust)
    symlinkSync(join(open, 'ca.pem'), join(closed, 'link.pem'))
    chmodSync(open, 0o777)
    load(join(open, 'link.pem'))
    load(join(closed, 'link.pem'))
    expect(warnings).toEqual([told(open, '0777', 'replace what is in it'), told(open, '0777', 'replace what is in it')])
  })

  test('count for a link that leads to a link, of a file or of a directory', () => {
    const [first, open, last] = [folder(), folder(), folder()]
    const file = fileIn(last, 'ca.pem', pki.trust)
    symlinkSync(file, join(open, 'current.pem'))
    symlinkSync(join(open, 'current.pem'), join(first, 'link.pem'))
    symlinkSync(last, join(open, 'current'))
    symlinkSync(join('..', basename(open), 'current'), join(first, 'folder'))
    const names = [join(first, 'link.pem'), join(first, 'folder', 'ca.pem')]
    names.map((name) => load(name))
    expect(warnings).toEqual([])
    chmodSync(open, 0o777)
    names.map((name) => load(name))
    expect(warnings).toEqual(Array(2).fill(told(open, '0777', 'replace what is in it')))
  })

  test('the mode of a link itself, which is 0777 everywhere, does not', () => {
    const path = folder()
    const file = fileIn(path, 'ca.pem', pki.trust)
    symlinkSync(file, join(path, 'link.pem'))
    load(join(path, 'link.pem'))
    expect(warnings).toEqual([])
  })
})

describe('a directory of certificates', () => {
  test('is warned about where everybody may add one, sticky or not', () => {
    for (const mode of [0o777, 0o1777, 0o703]) {
      const path = folder()
      fileIn(path, 'ca.pem', pki.trust)
      chmodSync(path, mode)
      load(path)
    }
    expect(warnings.map((text) => text.replace(/\/\S+/g, 'PATH'))).toEqual([
      told('PATH', '0777', 'add to it (and 1 more)').replace(
        ' (and 1 more) — chmod o-w PATH',
        ' — chmod o-w PATH (and 1 more)',
      ),
      told('PATH', '1777', 'add to it'),
      told('PATH', '0703', 'add to it').concat(' (and 1 more)'),
    ])
  })

  test('is not where the kubelet mounted it, and the ..data link flips', () => {
    const path = folder()
    for (const version of ['..v1', '..v2']) {
      mkdirSync(join(path, version), { mode: 0o755 })
      fileIn(join(path, version), 'ca.pem', pki.trust)
    }
    symlinkSync('..v1', join(path, '..data'))
    symlinkSync('..data/ca.pem', join(path, 'ca.pem'))
    chmodSync(path, 0o3777)
    const stores = [load(path), load(join(path, 'ca.pem'))]
    symlinkSync('..v2', join(path, '..tmp'))
    renameSync(join(path, '..tmp'), join(path, '..data'))
    for (const store of stores) expect(store.reload().ok).toBe(true)
    expect(warnings).toEqual([])
  })

  const asRoot = process.getuid?.() === 0 ? test : test.skip
  asRoot('is where somebody else put a ..data into it', () => {
    const path = folder()
    fileIn(path, 'ca.pem', pki.trust)
    symlinkSync('.', join(path, '..data'))
    chmodSync(path, 0o1777)
    load(path)
    expect(warnings).toEqual([])
    lchownSync(join(path, '..data'), 65_534, 65_534)
    load(path)
    expect(warnings).toEqual([told(path, '1777', 'add to it')])
  })

  test('several files that are wrong are one warning', () => {
    const path = folder()
    const first = fileIn(path, 'a.pem', pki.trust, 0o666)
    for (const name of ['b.pem', 'c.pem']) fileIn(path, name, pki.intermediate.certificate.pem, 0o646)
    load(path)
    expect(warnings).toEqual([`${told(first, '0666', 'change it')} (and 2 more)`])
  })
})

describe('the same finding', () => {
  test('is said once, whoever names the file and however often it is read', () => {
    const path = fileIn(folder(), 'ca.pem', pki.trust, 0o666)
    const store = load(path)
    store.reload()
    load(path)
    expect(warnings).toHaveLength(1)
  })

  test('is said when it comes up while the file is watched, and again when it comes back', () => {
    jest.useFakeTimers()
    const path = fileIn(folder(), 'ca.pem', pki.trust)
    load(path, true)
    const counts = [0o644, 0o666, 0o666, 0o644, 0o666].map((mode) => {
      chmodSync(path, mode)
      jest.advanceTimersByTime(2_000)
      return warnings.length
    })
    expect(counts).toEqual([0, 1, 1, 1, 2])
  })
})

test('on Windows nothing is said, where modes mean nothing', () => {
  const path = fileIn(folder(), 'ca.pem', pki.trust, 0o666)
  const own = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor
  Object.defineProperty(process, 'platform', { ...own, value: 'win32' })
  try {
    load(path)
    expect(warnings).toEqual([])
  } finally {
    Object.defineProperty(process, 'platform', own)
  }
  load(path)
  expect(warnings).toHaveLength(1)
})
