"""onnxruntime's texts become one sentence without codes, source files and the server's folders."""

import pytest

from ringserve.engine.reasons import LENGTH_MAX, mend, shorten

CUDA_CALL = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, "
    "onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, int) "
    "[with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError] "
)

TEXTS = {
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Non-zero status code returned while running Gather node. "
    "Name:'' Status Message: indices element out of data bounds, idx=1 must be within [-1,0]": (
        "Gather: indices element out of data bounds, idx=1 must be within [-1,0]"
    ),
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node. Name:'r' "
    "Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 "
    "onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, bool) "
    "input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped\n": (
        "Reshape 'r': The input tensor cannot be reshaped"
    ),
    "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from /srv/m/x.onnx failed:Protobuf parsing "
    "failed.": "Protobuf parsing failed.",
    "[ONNXRuntimeError] : 1 : FAIL : Load model from /srv/o.onnx failed:/onnxruntime_src/graph/model.cc:256 "
    "onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::logging::Logger&) Unsupported model IR "
    "version: 99, max supported IR version: 14\n": (
        "Unsupported model IR version: 99, max supported IR version: 14"
    ),
    "[ONNXRuntimeError] : 1 : FAIL : External data path validation failed for initializer: w0. Error: "
    'tensorprotoutils.cc:619 ValidateExternalDataPathFromDir External data path does not exist: "/m/w.bin"': (
        "External data path validation failed for initializer: w0. Error: "
        'External data path does not exist: "w.bin"'
    ),
    CUDA_CALL + CUDA_CALL + "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; "
    "file=/src/cuda_execution_provider.cc ; line=355 ; expr=cudaSetDevice(info_.device_id); \n\n": (
        "CUDA failure 100: no CUDA-capable device is detected"
    ),
    "libcublasLt.so.13: cannot open shared object file: No such file or directory": (
        "libcublasLt.so.13: cannot open shared object file: No such file or directory"
    ),
    "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 3 Expected: 64": (
        "Got invalid dimensions for input: x for the following indices index: 1 Got: 3 Expected: 64"
    ),
    "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/normalizer.cc:235 "
    "onnxruntime::StringNormalizer::Locale::Locale(const std::string&)::<lambda()> Failed to construct "
    "locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid": (
        "Exception during initialization: Failed to construct locale with "
        "name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid"
    ),
    "": "no reason given",
}


@pytest.mark.parametrize("raw", TEXTS)
def test_a_text_is_cut_to_its_reason(raw: str) -> None:
    assert shorten(raw) == TEXTS[raw]


def test_a_text_without_end_is_bounded() -> None:
    assert len(shorten("why " * 1000)) == LENGTH_MAX


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (
            "Failed to construct locale with name:de_DE.UTF-8:locale::facet",
            "install the locale de_DE.UTF-8 on this",
        ),
        (
            "Fatal error: com.acme:Foo(-1) is not a registered function/op",
            "operators of com.acme by --custom-ops",
        ),
        (
            "Unsupported model IR version: 99, max supported IR version: 14",
            "install a newer onnxruntime, or export",
        ),
        (
            "Error No Op registered for Foo with domain_version of 17",
            "install a newer onnxruntime, or export",
        ),
        ("Protobuf parsing failed.", "export it again"),
    ],
)
def test_what_mends_it_depends_on_the_reason(raw: str, what: str) -> None:
    assert what in mend(raw)
