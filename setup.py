"""The Python package: python/dynoscale, and its extension module dynoscale._native, which is the
binding in ext/python together with the core in core/src.
"""

import glob
import gzip
import os
import re
import subprocess
import sys
import tarfile
import tempfile

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

os.chdir(os.path.dirname(os.path.abspath(__file__)))

# What a build needs: a program that shows it is there, and where it comes from on Debian and
# Ubuntu, Fedora, Alpine, and macOS.
NEEDS = [
    (
        "a C11 compiler",
        "#include <stdatomic.h>\n_Static_assert(1, \"C11\");\n_Atomic(int) n;\n",
        ("build-essential", "gcc", "build-base", "xcode-select --install"),
    ),
    (
        "Python's headers (Python.h)",
        "#include <Python.h>\n",
        ("python3-dev", "python3-devel", "python3-dev", "brew install python"),
    ),
    (
        "libcurl's headers (curl/curl.h)",
        "#include <curl/curl.h>\n",
        ("libcurl4-openssl-dev", "libcurl-devel", "curl-dev", "xcode-select --install"),
    ),
]
ALWAYS = ["-std=c11"]
HARDENING = ["-fvisibility=hidden", "-fstack-protector-strong"]
LINK_HARDENING = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
# A tenth of the time that a request costs: the core's small functions become one.
LINK_TIME_OPTIMIZATION = ["-flto=auto", "-flto"]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def version():
    """The core's: there is one version number."""
    found = re.search(r'^#define DYNOSCALE_VERSION "(.+)"$', read("core/include/dynoscale.h"), re.M)
    return found.group(1)


class Build(build_ext):
    """Looks first whether all is there and what the compiler can do."""

    def build_extensions(self):
        with tempfile.TemporaryDirectory() as self.directory:
            for need, program, packages in NEEDS:
                error = self.compile_error(program)
                if error is not None:
                    stop(need, packages, error)
            optimization = self.link_time_optimization()
            for extension in self.extensions:
                extension.extra_compile_args = ALWAYS + self.hardening() + optimization
                extension.extra_link_args = list(filter(self.links_with, LINK_HARDENING))
                extension.extra_link_args += optimization
        super().build_extensions()

    def hardening(self):
        flags = [flag for flag in HARDENING if self.compile_error("int n;\n", flag) is None]
        # Needs optimization, and may be set already, by the distribution or by the user's CFLAGS.
        if not any("_FORTIFY_SOURCE" in flag for flag in self.compiler.compiler_so):
            if self.compile_error("#include <string.h>\n", "-D_FORTIFY_SOURCE=2") is None:
                flags.append("-D_FORTIFY_SOURCE=2")
        return flags

    def link_time_optimization(self):
        for flag in LINK_TIME_OPTIMIZATION:
            if self.compile_error("int n;\n", flag) is None and self.links_with(flag):
                return [flag]
        return []

    def compile_error(self, program, *flags):
        """None if the program compiles, with a flag without a warning; else what was wrong."""
        with open(os.path.join(self.directory, "probe.c"), "w", encoding="utf-8") as file:
            file.write(program)
        includes = ["-I" + path for path in self.compiler.include_dirs]
        strict = ["-Werror"] if flags else []
        return self.run_error(
            [*self.compiler.compiler_so, *ALWAYS, *includes, *strict, *flags, "-c", "probe.c"]
        )

    def links_with(self, flag):
        return self.run_error([*self.compiler.linker_so, "probe.o", flag, "-o", "probe.so"]) is None

    def run_error(self, command):
        try:
            run = subprocess.run(
                command, cwd=self.directory, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        if run.returncode == 0:
            return None
        errors = [line for line in run.stderr.splitlines() if "error" in line]
        return (errors or ["it failed"])[0].strip()


def stop(need, packages, error):
    debian, fedora, alpine, macos = packages
    sys.exit(
        f"dynoscale: the build needs {need}: apt-get install {debian} (Debian, Ubuntu), "
        f"dnf install {fedora} (Fedora), apk add {alpine} (Alpine), {macos} (macOS) [{error}]"
    )


class Archive(sdist):
    """The same to the byte, whenever and by whomever it is made of the same files."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **options):
        if format != "gztar" or root_dir is not None:
            return super().make_archive(base_name, format, root_dir, base_dir, **options)
        name = f"{base_name}.tar.gz"
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "wb") as file:
            with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
                    archive.add(base_dir, filter=self.without_origin)
        return name

    def without_origin(self, member):
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 315619200  # 1980: a zip file can hold nothing older
        member.mode = 0o755 if member.isdir() else 0o644
        return member


native = Extension(
    "dynoscale._native",
    sources=sorted(glob.glob("ext/python/*.c") + glob.glob("core/src/*.c")),
    depends=sorted(glob.glob("ext/python/*.h") + glob.glob("core/*/*.h")),
    include_dirs=["core/include"],
    libraries=["pthread", "dl"] if sys.platform.startswith("linux") else [],
)

SOURCE = "https://github.com/Mjolnir-Software/dynoscale_ruby"  # of both agents


def description():
    """The README, with links that lead somewhere from a registry's page, too."""
    return re.sub(r"\]\((?!https?:|#)", f"]({SOURCE}/blob/v{version()}/", read("README.md"))


setup(
    name="dynoscale",
    version=version(),
    description="Dynoscale's agent: measures how long requests and jobs wait, and reports it",
    long_description=description(),
    long_description_content_type="text/markdown",
    url="https://dynoscale.net",
    project_urls={
        "Source": SOURCE,
        "Changelog": f"{SOURCE}/blob/v{version()}/CHANGELOG.md",
        "Issues": f"{SOURCE}/issues",
    },
    license="MIT",
    license_files=["LICENSE"],
    keywords=["asgi", "autoscaling", "dyno", "heroku", "queue time", "wsgi"],
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Web Environment",
        "Intended Audience :: Developers",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: C",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Programming Language :: Python :: 3.15",
        "Programming Language :: Python :: Free Threading :: 3 - Stable",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: WWW/HTTP :: WSGI :: Middleware",
        "Topic :: System :: Monitoring",
        "Typing :: Typed",
    ],
    python_requires=">=3.9",
    package_dir={"": "python"},
    packages=find_packages("python"),
    package_data={"dynoscale": ["py.typed", "*.pyi"]},
    entry_points={"console_scripts": ["dynoscale = dynoscale._cli:main"]},
    ext_modules=[native],
    cmdclass={"build_ext": Build, "sdist": Archive},
    zip_safe=False,
)
