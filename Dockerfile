# A static binary in an empty image: docker run -v ./schedules:/schedules:ro IMAGE /schedules/prod.toml
FROM rust:1-alpine AS build
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY README.md ./
# Tests and benchmarks are not built here, but Cargo.toml names their files.
RUN mkdir -p tests benches/scheduler && touch tests/lib.rs benches/next_after.rs benches/scheduler/main.rs && cargo build --release --locked

FROM scratch
COPY --from=build /build/target/release/rescue-scheduler /rescue-scheduler
# The authorities that rediss:// trusts without --tls-ca.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# No user database in this image: any number but root's.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rescue-scheduler"]
